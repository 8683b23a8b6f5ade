"""Why a pod goes where it goes, or nowhere, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nodesmith.model.money import UsdPerHour
from nodesmith.plan.reason import BlockCode


@dataclass(frozen=True, slots=True)
class Constraint:
    """One thing that is asked, by whom (`pod`, `nodepool` or `cluster`), and what it does to a NodePool's offerings.

    `removed` counts those that it rules out, whatever else does; `without` those that would be left if it alone were
    not asked; `change` says how it could be met.
    """

    code: BlockCode
    asked_by: str
    text: str
    removed: int
    without: int
    change: str


@dataclass(frozen=True, slots=True)
class Miss:
    """The offering, or node, that fails by the least: `failing` are the constraints it does not meet."""

    name: str
    zone: str
    capacity_type: str
    price: UsdPerHour | None
    failing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PoolView:
    """What one NodePool has for the pod.

    Of the catalogue's `known` offerings the pool sells `sold`; `left` would take the pod. `nearest` is None where some
    are left.
    """

    pool: str
    known: int
    sold: int
    left: int
    constraints: tuple[Constraint, ...]
    nearest: Miss | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """How many nodes refuse the pod for this reason first."""

    code: BlockCode
    count: int


@dataclass(frozen=True, slots=True)
class NodesView:
    """What the nodes that are there have for the pod."""

    count: int
    fit: int
    refusals: tuple[Refusal, ...]
    nearest: Miss | None


@dataclass(frozen=True, slots=True)
class WhyNot:
    """Why one instance type was not taken, NodePool by NodePool; `verdict` is the answer in a sentence."""

    pool: str
    instance_type: str
    offerings: tuple[Miss, ...]
    verdict: str


@dataclass(frozen=True, slots=True)
class PodExplanation:
    """The answer for one pod: where it goes and why there, what nodes and NodePools have for it, what would help."""

    pod: str
    goes_to: str
    because: str
    is_placed: bool
    nodes: NodesView
    pools: tuple[PoolView, ...]
    changes: tuple[str, ...]
    why_not: tuple[WhyNot, ...] = ()


def to_json(explanation: PodExplanation) -> dict[str, Any]:
    """The explanation as JSON."""
    document: dict[str, Any] = {
        "pod": explanation.pod,
        "placed": explanation.is_placed,
        "goesTo": explanation.goes_to,
        "because": explanation.because,
        "nodes": {
            "count": explanation.nodes.count,
            "fit": explanation.nodes.fit,
            "refusals": {str(each.code): each.count for each in explanation.nodes.refusals},
            "nearest": _miss_to_json(explanation.nodes.nearest),
        },
        "nodePools": [_pool_to_json(each) for each in explanation.pools],
        "changes": list(explanation.changes),
    }
    if explanation.why_not:
        document["whyNot"] = [
            {
                "nodePool": each.pool,
                "instanceType": each.instance_type,
                "verdict": each.verdict,
                "offerings": [_miss_to_json(miss) for miss in each.offerings],
            }
            for each in explanation.why_not
        ]
    return document


def _pool_to_json(view: PoolView) -> dict[str, Any]:
    return {
        "nodePool": view.pool,
        "catalogue": view.known,
        "offerings": view.sold,
        "left": view.left,
        "constraints": [
            {
                "code": str(each.code),
                "askedBy": each.asked_by,
                "constraint": each.text,
                "removed": each.removed,
                "leftWithoutIt": each.without,
                "change": each.change,
            }
            for each in view.constraints
        ],
        "nearest": _miss_to_json(view.nearest),
    }


def _miss_to_json(miss: Miss | None) -> dict[str, Any] | None:
    if miss is None:
        return None
    document: dict[str, Any] = {"name": miss.name, "zone": miss.zone, "capacityType": miss.capacity_type}
    if miss.price is not None:
        document["price"] = miss.price.dollars
    return {**document, "failing": list(miss.failing)}
