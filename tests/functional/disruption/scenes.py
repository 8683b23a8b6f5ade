"""Clusters to disrupt: how they come about, and what is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from nodesmith.api.kind import Manifest
from nodesmith.api.kinds import NODE_POOL
from nodesmith.decide.lifecycle.command_record import COMMAND
from nodesmith.model.labels import CAPACITY_TYPE, INSTANCE_TYPE
from nodesmith.model.taints import DISRUPTED
from nodesmith.ports.events import Event
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
SMALL, BIG = "m7g.large", "m7g.4xlarge"
NEVER: Manifest = {"consolidateAfter": "Never", "budgets": [{"nodes": "100%"}]}


def types(*names: str, terms: Sequence[str] = ("on-demand",)) -> list[dict[str, object]]:
    """Requirements that leave these types, on demand where nothing else is said."""
    return [
        {"key": INSTANCE_TYPE, "operator": "In", "values": list(names)},
        {"key": CAPACITY_TYPE, "operator": "In", "values": list(terms)},
    ]


async def outgrown(world: SmallWorld, pool: Manifest | None = None, *, team: str = "") -> None:
    """One big machine with little left to do, when a small one would be enough."""
    world.apply(NODE_CLASS, pool or node_pool(requirements=types(SMALL, BIG)))
    spec = {"nodeSelector": {"team": team}} if team else {}
    world.app(f"big{team}", 1, cpu="12", spec=spec)
    world.app(f"small{team}", 1, cpu="500m", spec=spec)
    await world.until(world.all_running)
    assert [each.machine.instance_type for each in world.machines()][-1] == BIG
    world.app(f"big{team}", 0)


async def several(world: SmallWorld, count: int, **pool: Any) -> None:
    """So many small machines, each full of one pod."""
    world.apply(NODE_CLASS, node_pool(requirements=types(SMALL), **pool))
    world.app("web", count, cpu="1500m")
    await world.until(world.all_running)
    assert len(world.nodes()) == count


def label_template(world: SmallWorld, team: str, pool: str = "default") -> None:
    """New machines of the pool are labelled so, and the present ones have drifted."""
    world.server.patch(NODE_POOL, pool, {"spec": {"template": {"metadata": {"labels": {"team": team}}}}})


def told(world: SmallWorld, reason: str, kind: str = "") -> list[Event]:
    """The events of the reason, on objects of the kind."""
    return [event for _, event in world.events.told if event.reason == reason and kind in {"", event.about.kind}]


def bought(world: SmallWorld) -> list[str]:
    """The types of the machines that are paid for, sorted."""
    return sorted(each.machine.instance_type for each in world.machines())


def has_no_trace(world: SmallWorld) -> bool:
    """Whether nothing of a disruption is left on any node or claim."""
    return not any(DISRUPTED in node.taints for node in world.nodes()) and not any(
        COMMAND in claim.meta.annotations or claim.condition("DisruptionReason") is not None for claim in world.claims()
    )


def eligible(world: SmallWorld, reason: str) -> float:
    """How many nodes the last pass could have taken for the reason."""
    return world.metrics.gauges.get(("voluntary_disruption_eligible_nodes", (("reason", reason),)), 0.0)
