from dataclasses import replace
from datetime import timedelta

from nodesmith.decide.lifecycle.conditions import (
    CLAIM_DEPENDENTS,
    Change,
    changed,
    fails,
    gone,
    holds,
    unknown,
)
from nodesmith.model.meta import Conditions, ObjectMeta
from tests.unit.decide.lifecycle.making import NOW

META = ObjectMeta("claim", generation=1, created_at=NOW - timedelta(hours=1))


def _after(*changes: Change, present: Conditions | None = None, meta: ObjectMeta = META) -> Conditions:
    return changed(present or {}, meta, changes, dependents=CLAIM_DEPENDENTS, now=NOW)


def test_what_nobody_set_is_unknown_since_the_object_was_made() -> None:
    conditions = _after()
    assert list(conditions) == ["Initialized", "Launched", "Registered", "Ready"]
    for kind in CLAIM_DEPENDENTS:
        assert (conditions[kind].status, conditions[kind].reason) == ("Unknown", "AwaitingReconciliation")
        assert conditions[kind].message == "object is awaiting reconciliation"
        assert conditions[kind].changed_at == META.created_at
    assert (conditions["Ready"].status, conditions["Ready"].reason) == ("Unknown", "ReconcilingDependents")
    assert conditions["Ready"].message == "Launched=Unknown, Registered=Unknown, Initialized=Unknown"


def test_the_root_holds_when_all_do_and_fails_when_one_does() -> None:
    assert _after(*(holds(kind) for kind in CLAIM_DEPENDENTS))["Ready"].is_true
    failed = _after(holds("Launched"), fails("Registered", "MultipleNodesFound"))["Ready"]
    assert (failed.status, failed.reason) == ("False", "UnhealthyDependents")
    assert failed.message == "Registered=False, Initialized=Unknown"


def test_the_root_waits_for_dependents_of_the_current_generation() -> None:
    held = _after(*(holds(kind) for kind in CLAIM_DEPENDENTS))
    later = replace(META, generation=2)
    assert _after(holds("Launched"), present=held, meta=later)["Ready"].status == "Unknown"
    assert _after(*(holds(kind) for kind in CLAIM_DEPENDENTS), present=held, meta=later)["Ready"].is_true


def test_the_time_of_transition_moves_only_with_the_status() -> None:
    first = _after(fails("Launched", "LaunchFailed", "no"))
    then = changed(
        first,
        META,
        (fails("Launched", "Unauthorized", "no permission"),),
        dependents=CLAIM_DEPENDENTS,
        now=NOW + timedelta(minutes=1),
    )
    assert then["Launched"].changed_at == first["Launched"].changed_at == NOW
    assert then["Launched"].reason == "Unauthorized"
    assert _after(unknown("Launched", "LaunchFailed"))["Launched"].changed_at == META.created_at


def test_only_what_the_root_does_not_depend_on_can_go() -> None:
    conditions = _after(gone("Launched"), gone("Drifted"), present=_after(holds("Drifted"), holds("Launched")))
    assert "Drifted" not in conditions
    assert conditions["Launched"].is_true


def test_nothing_changes_when_nothing_does() -> None:
    settled = _after(holds("Launched"))
    assert _after(holds("Launched"), present=settled) == settled


def test_reasons_are_the_names_where_none_is_given() -> None:
    conditions = _after(holds("Consolidatable"), fails("Registered", "MultipleNodesFound"))
    assert (conditions["Consolidatable"].reason, conditions["Consolidatable"].message) == ("Consolidatable", "")
    assert conditions["Registered"].message == "MultipleNodesFound"
