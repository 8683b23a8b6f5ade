"""What claims of one NodePool and one set of requirements can become.

A claim may turn into any of its types at any available offering that its requirements allow. Most claims of a plan
share a handful of requirement sets, so everything here is worked out for all types of the catalogue at once and kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from nodesmith.decide.schedule.validate.labels import NodeConstraint
from nodesmith.decide.schedule.validate.market import LARGEST, Amounts, Market, Mask
from nodesmith.model.labels import HOSTNAME, INITIALIZED, INSTANCE_TYPE, NODEPOOL, REGISTERED
from nodesmith.model.nodepool import NodePool
from nodesmith.model.pod import HostPort, PodSpec
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.model.taints import PREFER_NO_SCHEDULE, Taint, Toleration, untolerated

_NOT_IN_SHAPE: Final = (INSTANCE_TYPE, HOSTNAME)


@dataclass(frozen=True, slots=True)
class Daemon:
    """A DaemonSet, as far as it takes room on nodes."""

    key: str
    spec: PodSpec
    constraint: NodeConstraint


def repelling(taints: Iterable[Taint], tolerations: Iterable[Toleration]) -> Taint | None:
    """The first taint that keeps a pod off; PreferNoSchedule never does."""
    return untolerated([taint for taint in taints if taint.effect != PREFER_NO_SCHEDULE], tolerations)


def template_requirements(pool: NodePool) -> Requirements:
    """What every claim of the pool asks: its requirements and template labels, and the labels that we set."""
    node_class = f"{pool.node_class.group}/{pool.node_class.kind.lower()}"
    ours = {NODEPOOL: pool.name, node_class: pool.node_class.name, REGISTERED: "true", INITIALIZED: "true"}
    return pool.requirements & Requirements.from_labels(pool.labels) & Requirements.from_labels(ours)


class Listed:
    """Claims of one shape that list the same types: `numbers` are those, each once, `launchable` those that can be had.

    `room` is the least that any of the launchable ones leaves for pods, by resource; `lowest_price` the lowest of all.
    """

    def __init__(self, shape: Shape, names: tuple[str, ...]) -> None:
        self.names: Final = names  # kept, so that no other tuple gets its id
        self.numbers: Final[Amounts] = shape.market.numbers(names)
        self.launchable: Final[Amounts] = self.numbers[shape.launchable[self.numbers]]
        self.lowest_price = int(shape.lowest_price[self.numbers].min(initial=LARGEST))
        least = shape.room[self.launchable].min(axis=0, initial=LARGEST).tolist()
        self.room: Final[Mapping[str, int]] = dict(zip(shape.market.resources, least, strict=True))

    def holds(self, amounts: Mapping[str, int]) -> bool:
        """Whether every launchable type has room for the amounts."""
        return all(amounts.get(name, 0) <= left for name, left in self.room.items())


class Shape:
    """The outcomes open to claims of `pool` that ask `requirements` besides its template."""

    def __init__(self, pool: NodePool, market: Market, requirements: Requirements, daemons: Iterable[Daemon]) -> None:
        self.pool: Final = pool
        self.market: Final = market
        joint = template_requirements(pool) & requirements
        self.asked: Final[Mapping[str, Requirement]] = joint.without(_NOT_IN_SHAPE).by_key
        self.incompatible: dict[str, Mask] = {}
        self.daemons = [each for each in daemons if repelling(pool.taints, each.spec.tolerations) is None]
        self.outcomes = self._find_outcomes(joint)
        self.launchable = market.by_type(self.outcomes)
        self.lowest_price = market.lowest_price(self.outcomes)
        self._unmet: dict[NodeConstraint, Mask | None] = {}
        self._listed: dict[int, Listed] = {}

    def listed(self, names: tuple[str, ...]) -> Listed:
        """What claims that list these types have in common."""
        known = self._listed.get(id(names))
        if known is None:
            known = self._listed[id(names)] = Listed(self, names)
        return known

    def _find_outcomes(self, joint: Requirements) -> Mask:
        """The offerings that the claims may turn into, whatever types they list."""
        market = self.market
        fitting = np.ones(len(market.types), np.bool_)
        outcomes = market.available.copy()
        for wanted in joint:
            if wanted.key == HOSTNAME:
                continue
            goes = market.compatible(wanted)
            if not goes.all():
                self.incompatible[wanted.key] = ~goes
                fitting &= goes
            if market.settles(wanted.key):
                outcomes &= market.allowed(wanted)
        return outcomes & fitting[market.owner]

    def unmet(self, constraint: NodeConstraint) -> Mask | None:
        """The types on which some outcome does not satisfy the constraint; None where all do."""
        if constraint.is_open:
            return None
        if constraint not in self._unmet:
            failing = self.outcomes & ~self.market.satisfies(constraint, self.asked)
            self._unmet[constraint] = self.market.by_type(failing) if failing.any() else None
        return self._unmet[constraint]

    @cached_property
    def running(self) -> list[tuple[Daemon, Mask]]:
        """The daemons that are sure to run on some outcome, with those outcomes."""
        found = [(each, self.outcomes & self.market.satisfies(each.constraint, self.asked)) for each in self.daemons]
        return [(daemon, outcomes) for daemon, outcomes in found if outcomes.any()]

    @cached_property
    def room(self) -> Amounts:
        """For each type what is left for pods on its worst outcome."""
        load = np.zeros((len(self.market.offerings), len(self.market.resources)), np.int64)
        for daemon, outcomes in self.running:
            load[outcomes] += self.market.amounts([dict(daemon.spec.requests)])[0]
        return self.market.allocatable - self.market.most(load)

    @cached_property
    def daemon_ports(self) -> list[tuple[str, tuple[HostPort, ...], Mask]]:
        """The host ports that daemons take: whose, which, on which types."""
        return [
            (daemon.key, daemon.spec.host_ports, self.market.by_type(outcomes))
            for daemon, outcomes in self.running
            if daemon.spec.host_ports
        ]
