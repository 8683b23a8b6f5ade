from importlib import import_module

import pytest
from typer.testing import CliRunner

from nodesmith.cli import COMMANDS, build, main


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_a_module_with_a_function_that_says_what_it_does(name: str) -> None:
    assert import_module(f"nodesmith.cli.{name.replace('-', '_')}").run.__doc__


def test_help_lists_every_command() -> None:
    output = CliRunner().invoke(build(), ["--help"]).output
    assert all(name in output for name in COMMANDS)


def test_only_the_command_that_is_asked_for_is_built(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["nodesmith", "lint", "--help"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    assert "manifests" in capsys.readouterr().out


def test_the_version_is_told() -> None:
    assert CliRunner().invoke(build([]), ["--version"]).output.startswith("nodesmith ")
