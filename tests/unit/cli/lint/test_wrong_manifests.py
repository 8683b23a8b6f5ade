"""Every manifest in tests/data/manifests/wrong says in its first line where it is wrong and what is to be said of it."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nodesmith.api.documents import read_documents
from nodesmith.api.validation import validate
from nodesmith.cli import build

DATA = Path(__file__).parents[3] / "data" / "manifests"
WRONG = sorted((DATA / "wrong").glob("*.yaml"))
TWO_FAULTS = {"029-values-numbers", "108-second-document"}
"""Two values that are no text; a field that is misspelt and therefore missing."""
HEAD = re.compile(r"# line (?P<line>\d+): (?P<says>.*?)(?: \| (?P<hint>.*?))?(?:  # only lint)?")


@pytest.mark.parametrize("file", WRONG, ids=lambda file: file.stem)
def test_it_says_where_and_what_and_how(file: Path) -> None:
    text = file.read_text("utf-8")
    expected = HEAD.fullmatch(text.splitlines()[0])
    assert expected is not None
    reading = read_documents(text, file.name)
    faults = [*reading.faults, *(fault for document in reading.documents for fault in validate(document))]
    errors = [fault for fault in faults if fault.is_error]
    told = "\n".join(map(str, errors))
    fitting = [fault for fault in errors if fault.line == int(expected["line"]) and expected["says"] in fault.message]
    assert fitting, told
    assert (expected["hint"] or "") in fitting[0].hint, told
    assert all("\n" not in fault.message and "\n" not in fault.hint for fault in faults)
    assert all(fault.hint for fault in errors), told
    assert len(errors) == 1 or file.stem in TWO_FAULTS, told


def test_there_are_enough_of_them() -> None:
    assert len(WRONG) >= 100


def test_the_command_exits_with_two_for_all_and_zero_for_none() -> None:
    runner, app = CliRunner(), build(["lint"])
    for file in WRONG[::20]:
        assert runner.invoke(app, ["lint", str(file)]).exit_code == 2
    done = runner.invoke(app, ["lint", str(DATA / "wrong")])
    assert done.exit_code == 2
    assert f"in {len(WRONG)} files" in done.output
    assert runner.invoke(app, ["lint", str(DATA / "right")]).exit_code == 0
