"""Every check shown passing and failing; and none that falls over what it cannot see."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

import pytest

from nodesmith.install.doctor.check import Check, Outcome, examine, has_failed
from nodesmith.install.doctor.facts import Facts
from nodesmith.install.doctor.seen import Unseen
from nodesmith.install.doctor.table import CHECKS, UnknownCheckError, chosen
from tests.unit.install.doctor import cases_aws, cases_cluster
from tests.unit.install.doctor.healthy import changed, healthy

FAILING = cases_aws.FAILING | cases_cluster.FAILING
WARNING = cases_aws.WARNING | cases_cluster.WARNING
PASSING = cases_aws.PASSING | cases_cluster.PASSING
each_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.number)


@each_check
def test_a_check_passes(check: Check) -> None:
    (finding,) = examine(PASSING.get(check.number, healthy()), [check])
    assert (finding.outcome, finding.found) == (Outcome.OK, finding.found)
    assert finding.found
    assert finding.cure == ""


@each_check
def test_a_check_finds_what_is_wrong(check: Check) -> None:
    """Every check has a case that breaks it; what is said names the thing, and a cure comes with it."""
    cases = [(Outcome.FAILED, *case) for case in FAILING.get(check.number, ())]
    cases += [(Outcome.WARNING, *case) for case in WARNING.get(check.number, ())]
    assert cases, f"nothing here breaks {check.number}"
    for outcome, facts, words in cases:
        (finding,) = examine(facts, [check])
        assert finding.outcome is outcome, finding
        assert words in "\n".join(finding.found)
        assert finding.cure


def test_all_is_well_when_all_is_well() -> None:
    findings = examine(healthy(), CHECKS)
    assert {
        each.check.number: each.found for each in findings if each.outcome in {Outcome.FAILED, Outcome.WARNING}
    } == {}
    assert not has_failed(findings)


def parts() -> Iterator[str]:
    """Every fact that may be unseen, by its path."""
    for part in fields(Facts):
        value = getattr(healthy(), part.name)
        if is_dataclass(value):
            yield from (f"{part.name}.{each.name}" for each in fields(value) if each.name != "server")
    yield from ("catalog", "offers", "price_caveat")


@pytest.mark.parametrize("path", list(parts()))
def test_no_check_guesses_at_what_was_not_seen(path: str) -> None:
    """Where a fact is missing, the checks that need it say so; none finds fault for that, but those about seeing."""
    about_seeing = {"account.caller": {"ND001"}, "cluster.reached": {"ND006"}}
    unseen: object = {} if isinstance(_at(healthy(), path), dict) else Unseen("nobody looked")
    findings = examine(changed(healthy(), path, unseen), CHECKS)
    wrong = {each.check.number for each in findings if each.outcome in {Outcome.FAILED, Outcome.WARNING}}
    assert wrong == about_seeing.get(path, set())


def test_what_cannot_be_seen_is_told_with_the_reason() -> None:
    facts = changed(healthy(), "identity.controller_role", Unseen("AccessDenied: not you"))
    (finding,) = examine(facts, chosen(["ND121"]))
    assert (finding.outcome, finding.found) == (Outcome.UNSEEN, ("AccessDenied: not you",))


def test_numbers_are_unique_and_the_worst_comes_first() -> None:
    assert len({each.number for each in CHECKS}) == len(CHECKS) >= 100
    facts = cases_cluster.WARNING["ND617"][0][0]
    facts = changed(facts, "account.has_spot_role", value=False)
    findings = examine(facts, CHECKS)
    assert [each.check.number for each in findings[:2]] == ["ND608", "ND617"]


def test_checks_are_chosen_by_number_in_any_case() -> None:
    assert [each.number for each in chosen(["nd301", "ND102"])] == ["ND102", "ND301"]
    with pytest.raises(UnknownCheckError, match="did you mean"):
        chosen(["ND30"])


def _at(facts: Facts, path: str) -> object:
    found: object = facts
    for name in path.split("."):
        found = getattr(found, name)
    return found
