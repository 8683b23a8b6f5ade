"""The table of disruption's rules names tests that exist."""

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
ROW: Final = re.compile(r"^\| (?P<id>[0-9]+\.[0-9]+-[a-z]+) \| (?P<rule>.+?) \| (?P<tests>.+) \|$", re.MULTILINE)
TEST: Final = re.compile(r"`(?P<file>[\w/]+\.py)::(?P<name>test_\w+)`")
TEXT: Final = (ROOT / "docs" / "reference" / "disruption.md").read_text()
ROWS: Final = [match.groupdict() for match in ROW.finditer(TEXT)]
SECTIONS: Final = {"4.3", "4.4", "4.5", "4.6", "4.7", "4.8", "4.9", *(f"5.{number}" for number in range(1, 11))}


def test_every_section_has_its_rules_each_once() -> None:
    ids = [row["id"] for row in ROWS]
    assert len(ids) == len(set(ids)) == TEXT.count("::test_") - sum(row["tests"].count("::") - 1 for row in ROWS)
    assert {each.split("-")[0] for each in ids} == SECTIONS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_the_tests_of_a_rule_exist(row: dict[str, str]) -> None:
    named = list(TEST.finditer(row["tests"]))
    assert named
    for match in named:
        source = (ROOT / "tests" / match["file"]).read_text()
        assert re.search(rf"^def {match['name']}\(", source, re.MULTILINE), match[0]


def test_a_rule_that_is_seen_from_outside_has_a_test_in_a_running_cluster() -> None:
    running = {row["id"].split("-")[0] for row in ROWS if "functional/" in row["tests"]}
    assert running == SECTIONS
