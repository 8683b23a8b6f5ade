"""`nodesmith doctor`: what is asked, what is printed, and the exit codes; looking itself is tested elsewhere."""

import io
import json

import pytest
from rich.console import Console
from typer.testing import CliRunner

from nodesmith.cli import build
from nodesmith.cli.doctor import print_findings, settings_faults, summary, to_json
from nodesmith.install.doctor.check import Finding, examine
from nodesmith.install.doctor.seen import Unseen
from nodesmith.install.doctor.table import CHECKS, chosen
from tests.unit.install.doctor.cases_cluster import FAILING
from tests.unit.install.doctor.healthy import changed

APP = build(["doctor"])


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(APP, ["doctor", *arguments])
    return result.exit_code, result.output


def findings() -> list[Finding]:
    facts = changed(FAILING["ND616"][0][0], "account.quotas", Unseen("AccessDenied"))
    return examine(facts, chosen(["ND609", "ND611", "ND616", "ND122"]))


def printed(*, show_all: bool) -> str:
    console = Console(file=io.StringIO(), width=140)
    print_findings(console, findings(), show_all=show_all)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_list_names_every_check_under_its_group() -> None:
    code, told = run("--list")
    assert code == 0
    assert [line.split()[0] for line in told.splitlines() if line.startswith("  ")] == [each.number for each in CHECKS]
    assert "Interruptions\n  ND401" in told


def test_the_list_as_json_has_cause_and_cure() -> None:
    code, told = run("--list", "--check", "nd302", "-o", "json")
    (row,) = json.loads(told)
    assert (code, row["check"], row["title"]) == (0, "ND302", "Subnets have free addresses")
    assert row["cause"]
    assert row["cure"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--check", "ND999", "--cluster", "demo"), "there is no check ND999"),
        ((), "say --cluster NAME"),
        (("--cluster", "demo", "--profile", "nobody-has-this"), "nobody-has-this"),
        (("--cluster", "demo", "-o", "xml"), "xml"),
    ],
)
def test_bad_input_is_two(arguments: tuple[str, ...], words: str) -> None:
    code, told = run(*arguments)
    assert code == 2
    assert words in told


def test_without_a_region_it_asks_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/does/not/exist")
    code, told = run("--cluster", "demo")
    assert (code, "no AWS region" in told) == (2, True)


def test_only_what_is_wrong_is_shown_with_cause_and_cure() -> None:
    told = printed(show_all=False)
    assert "ND616" in told
    assert "4 of 4 cpu" in told
    assert "> Raise spec.limits" in told
    assert "ND611" not in told
    assert "could not look: ND609" in told
    assert told.rstrip().endswith("1 failed, 1 could not look, 1 ok, 1 not applicable")


def test_all_shows_the_rest_after_what_is_wrong() -> None:
    told = printed(show_all=True)
    places = [told.index(number) for number in ("ND616", "ND609", "ND611", "ND122")]
    assert places == sorted(places)
    assert "AccessDenied" in told


def test_json_says_whether_it_is_healthy_and_what_to_do() -> None:
    document = to_json("demo", findings())
    assert (document["cluster"], document["healthy"]) == ("demo", False)
    first, second, *_ = document["findings"]
    assert (first["check"], first["outcome"]) == ("ND616", "failed")
    assert first["cure"]
    assert (second["outcome"], second["found"]) == ("could not look", ["AccessDenied"])
    assert "cure" not in second


def test_text_of_others_is_not_taken_for_markup() -> None:
    facts = changed(FAILING["ND616"][0][0], "cluster.settings_faults", ("[red]LOG_LEVEL[/red]: bad",))
    console = Console(file=io.StringIO(), width=140)
    print_findings(console, examine(facts, chosen(["ND533"])), show_all=False)
    assert isinstance(console.file, io.StringIO)
    assert "[red]LOG_LEVEL[/red]" in console.file.getvalue()


def test_a_sum_leaves_out_what_nobody_said() -> None:
    assert summary(findings()[:1]) == "1 failed"


def test_settings_that_cannot_be_read_are_told_by_line() -> None:
    assert settings_faults((), {"CLUSTER_NAME": "demo"}) == ()
    (fault,) = settings_faults((), {"CLUSTER_NAME": "demo", "BATCH_IDLE_DURATION": "soon"})
    assert "BATCH_IDLE_DURATION" in fault
