"""Answers as the result documents that `plan -o json` prints, and back.

Prices are dollars an hour, quantities are Kubernetes quantities. The form is shared with other planners, so that one
program can compare answers whoever gave them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nodesmith.model.labels import INSTANCE_TYPE
from nodesmith.model.money import UsdPerHour
from nodesmith.model.requirements import Operator, Requirement, Requirements
from nodesmith.model.resources import parse_resources
from nodesmith.plan.command import Command, claim_to_json, to_json
from nodesmith.plan.reason import BlockCode, Blocked, Unplaced
from nodesmith.plan.schedule import OnClaim, OnNode, Placement, PlannedClaim, Purchase, SchedulePlan


def schedule_to_json(plan: SchedulePlan, *, solve_ms: float) -> dict[str, Any]:
    """The result of placing pods; `solve_ms` is how long deciding took."""
    return {
        "pods": {key: _placement_to_json(plan.placements[key]) for key in sorted(plan.placements)},
        "nodeClaims": [claim_to_json(claim) for claim in plan.claims],
        "totalPrice": plan.price.dollars,
        "strategy": plan.strategy,
        "solveMs": round(solve_ms, 3),
    }


def consolidation_to_json(
    steps: Sequence[Command],
    *,
    nodes: tuple[int, int],
    prices: tuple[UsdPerHour | None, UsdPerHour | None],
    solve_ms: float,
) -> dict[str, Any]:
    """The result of taking nodes away; `nodes` and `prices` are those before and after, None where unknown."""
    before, after = (None if price is None else price.dollars for price in prices)
    return {
        "nodes": nodes[0],
        "price": before,
        "steps": [to_json(step) for step in steps],
        "finalNodes": nodes[1],
        "finalPrice": after,
        "solveMs": round(solve_ms, 3),
    }


def schedule_from_json(raw: Mapping[str, Any]) -> SchedulePlan:
    """The plan that a result of placing pods states; the words of errors are kept, their codes are not known.

    Raises:
        KeyError, TypeError, ValueError: when it is no such result.
    """
    placements = {key: _placement_from_json(entry) for key, entry in raw["pods"].items()}
    return SchedulePlan(placements, tuple(_claim_from_json(claim) for claim in raw["nodeClaims"]))


def _placement_to_json(placement: Placement) -> dict[str, object]:
    match placement:
        case OnNode(node):
            return {"node": node}
        case OnClaim(index):
            return {"nodeClaim": index}
        case _:
            return {"error": str(placement) or str(placement.blocked.code)}


def _placement_from_json(entry: Mapping[str, Any]) -> Placement:
    if entry.get("node"):
        return OnNode(str(entry["node"]))
    if entry.get("nodeClaim") is not None:
        return OnClaim(int(entry["nodeClaim"]))
    return Unplaced(Blocked(BlockCode.INVALID, str(entry["error"])))


def _claim_from_json(raw: Mapping[str, Any]) -> PlannedClaim:
    cheapest = raw["cheapest"]
    return PlannedClaim(
        pool_name=raw["nodePool"],
        requirements=Requirements.of(_requirement(each) for each in raw["requirements"]),
        instance_types=tuple(raw["instanceTypes"]),
        requests=parse_resources(raw.get("requests")),
        pods=tuple(raw["pods"]),
        cheapest=Purchase(
            cheapest["instanceType"],
            cheapest["zone"],
            cheapest["capacityType"],
            None if cheapest["price"] is None else UsdPerHour.of(cheapest["price"]),
        ),
    )


def _requirement(raw: Mapping[str, Any]) -> Requirement:
    """The requirement; one on the instance type may leave its values to the list of types."""
    values, operator = raw.get("values") or (), raw["operator"]
    if raw["key"] == INSTANCE_TYPE and operator == Operator.IN and not values:
        operator = Operator.EXISTS
    return Requirement.of(raw["key"], operator, values, min_values=raw.get("minValues"))
