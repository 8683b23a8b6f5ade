"""What all tests together have shown, looked at when they are over (conftest puts this file last)."""

import pytest

from tests.e2e.audit import Asked, asked_by, entries
from tests.e2e.calls import Ledger
from tests.e2e.controlplane import CONTROLLER_USER
from tests.e2e.stage import Stage, tear_down

FORBIDDEN = 403


@pytest.fixture(scope="module")
def over(stage: Stage) -> Stage:
    """The stage when the controller has stopped."""
    if stage.controller.is_alive:
        assert stage.controller.terminate() == 0
    return stage


def test_the_chart_allowed_everything_that_was_asked(over: Stage) -> None:
    """An API server that has just started forbids everything for a moment; what was never allowed is missing."""
    allowed: set[Asked] = set()
    forbidden: set[Asked] = set()
    for entry in entries(over.plane.audit_log, user=CONTROLLER_USER):
        code = (entry.get("responseStatus") or {}).get("code")
        (forbidden if code == FORBIDDEN else allowed).add(asked_by(entry))
    assert len(allowed) > 30
    assert forbidden <= allowed


@pytest.fixture(scope="module")
def asked(over: Stage, ledger: Ledger) -> Ledger:
    """What all controllers asked of AWS."""
    ledger.add(over.box.control, over.names)
    return ledger


def test_the_installers_policies_allowed_every_call(asked: Ledger) -> None:
    """By the evaluator, with each call's resources, tags and conditions; and IAM, which was enforced, refused none."""
    assert len({call.name for call in asked.calls}) > 20
    assert asked.audit().refused == ()
    assert [
        f"{call.name}: {call.error}"
        for call in asked.calls
        if call.error in {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"}
    ] == []


def test_every_statement_of_the_policies_was_needed(asked: Ledger) -> None:
    assert asked.audit().unused == ()


def test_images_are_those_of_the_api_servers_version(asked: Ledger) -> None:
    """EKS, in the box, says another; it is asked only where `--eks-control-plane` says so."""
    names = {str(call.params["Name"]) for call in asked.calls if call.name == "ssm:GetParameter"}
    assert names
    assert all("/1.34/" in name for name in names), names


def test_nothing_is_left_in_the_account(over: Stage) -> None:
    assert tear_down(over) == {}
