"""Results as JSON: the members that other programs read, and reading them back."""

from __future__ import annotations

import json

import pytest

from nodesmith.model import labels
from nodesmith.model.money import UsdPerHour
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.plan.command import Command, Leaving, Method
from nodesmith.plan.reason import BlockCode, Blocked, PoolBlocked, Unplaced
from nodesmith.plan.result import consolidation_to_json, schedule_from_json, schedule_to_json
from nodesmith.plan.schedule import OnClaim, OnNode, PlannedClaim, Purchase, SchedulePlan

CLAIM = PlannedClaim(
    pool_name="default",
    requirements=Requirements.of(
        [
            Requirement.of(labels.ARCH, "In", ["arm64"]),
            Requirement.of(labels.INSTANCE_CPU, "Gt", ["3"]),
            Requirement.of(labels.INSTANCE_TYPE, "Exists", min_values=2),
        ]
    ),
    instance_types=("t4g.medium", "t4g.large"),
    requests={"cpu": 750, "memory": 2**30, "pods": 1},
    pods=("default/web-0",),
    cheapest=Purchase("t4g.medium", "a", "spot", UsdPerHour.of(0.0125)),
)
PLAN = SchedulePlan(
    {
        "default/web-0": OnClaim(0),
        "default/web-1": OnNode("n1"),
        "default/huge-0": Unplaced(
            Blocked(BlockCode.RESOURCES, "too large"),
            (PoolBlocked("default", Blocked(BlockCode.RESOURCES, "cpu 64 is more than any type has")),),
        ),
    },
    (CLAIM,),
)


def test_a_plan_has_the_members_of_a_result() -> None:
    document = schedule_to_json(PLAN, solve_ms=1.23456)
    assert json.loads(json.dumps(document)) == document
    assert document["pods"] == {
        "default/huge-0": {"error": 'incompatible with nodepool "default", cpu 64 is more than any type has'},
        "default/web-0": {"nodeClaim": 0},
        "default/web-1": {"node": "n1"},
    }
    assert document["nodeClaims"] == [
        {
            "nodePool": "default",
            "requirements": [
                {"key": labels.INSTANCE_CPU, "operator": "Gte", "values": ["4"]},
                {"key": labels.ARCH, "operator": "In", "values": ["arm64"]},
                {"key": labels.INSTANCE_TYPE, "operator": "Exists", "minValues": 2},
            ],
            "instanceTypes": ["t4g.medium", "t4g.large"],
            "requests": {"cpu": "750m", "memory": "1Gi", "pods": "1"},
            "pods": ["default/web-0"],
            "cheapest": {"instanceType": "t4g.medium", "zone": "a", "capacityType": "spot", "price": 0.0125},
        }
    ]
    assert document["totalPrice"] == 0.0125
    assert document["solveMs"] == 1.235


def test_an_error_is_never_empty() -> None:
    plan = SchedulePlan({"default/web-0": Unplaced(Blocked(BlockCode.VOLUME, ""))})
    assert schedule_to_json(plan, solve_ms=0)["pods"] == {"default/web-0": {"error": "volume"}}


def test_a_result_reads_back_as_the_plan_it_was_made_from() -> None:
    back = schedule_from_json(schedule_to_json(PLAN, solve_ms=0))
    assert back.claims == PLAN.claims
    assert back.placements["default/web-0"] == OnClaim(0)
    assert back.placements["default/web-1"] == OnNode("n1")
    assert list(back.unplaced) == ["default/huge-0"]


def test_an_instance_type_requirement_may_leave_its_values_to_the_list() -> None:
    document = schedule_to_json(PLAN, solve_ms=0)
    document["nodeClaims"][0]["requirements"] = [{"key": labels.INSTANCE_TYPE, "operator": "In", "minValues": 2}]
    (claim,) = schedule_from_json(document).claims
    assert claim.requirements.get(labels.INSTANCE_TYPE) == Requirement(
        labels.INSTANCE_TYPE, complement=True, min_values=2
    )


@pytest.mark.parametrize("broken", [{}, {"pods": {}}, {"pods": {"a/b": {}}, "nodeClaims": []}])
def test_what_is_no_result_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        schedule_from_json(broken)


def test_steps_of_a_consolidation_are_told_with_the_end() -> None:
    leaving = Leaving("n1", "claim-1", "aws:///a/i-1", "default", price=UsdPerHour.of(0.1), pods=("default/web-0",))
    step = Command(Method.SINGLE, (leaving,), (CLAIM,), {"default/web-0": OnClaim(0)}, UsdPerHour.of(0.0875))
    prices = (UsdPerHour.of(0.3), None)
    document = consolidation_to_json([step], nodes=(3, 3), prices=prices, solve_ms=2)
    assert (document["nodes"], document["price"], document["finalNodes"], document["finalPrice"]) == (3, 0.3, 3, None)
    (told,) = document["steps"]
    assert told["decision"] == "replace"
    assert told["candidates"] == ["n1"]
    assert told["pods"] == {"default/web-0": {"nodeClaim": 0}}
    assert told["replacements"][0]["pods"] == ["default/web-0"]
    assert told["savings"] == 0.0875
