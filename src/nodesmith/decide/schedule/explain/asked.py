"""Everything that is asked of an offering that is to take a pod, each with the offerings that meet it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from nodesmith.decide.schedule.explain.company import NEW, CompanyRule
from nodesmith.decide.schedule.problem import MinValuesPolicy
from nodesmith.decide.schedule.validate.case import Case
from nodesmith.decide.schedule.validate.labels import NodeConstraint
from nodesmith.decide.schedule.validate.market import Amounts, Mask
from nodesmith.decide.schedule.validate.shape import Shape, repelling, template_requirements
from nodesmith.model.labels import HOSTNAME, INITIALIZED, INSTANCE_TYPE, NODEPOOL, REGISTERED
from nodesmith.model.nodepool import NodePool
from nodesmith.model.pod import NodeSelectorTerm, Pod
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.model.resources import NODES, format_resources, total
from nodesmith.plan.reason import BlockCode

POD: Final = "pod"
POOL: Final = "nodepool"
CLUSTER: Final = "cluster"
_OURS: Final = frozenset({NODEPOOL, REGISTERED, INITIALIZED})


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """One constraint and the offerings that meet it; `resource` names the resource that it is about."""

    code: BlockCode
    by: str
    text: str
    change: str
    met: Mask
    resource: str = ""


class PoolAsks:
    """What a NodePool, the pod and the others ask of the pool's offerings."""

    def __init__(self, case: Case, pod: Pod, pool: NodePool, rules: list[CompanyRule]) -> None:
        market = case.market(pool.name)
        if market is None:
            raise KeyError(pool.name)
        self.case = case
        self.pod = pod
        self.pool = pool
        self.market = market
        self.shape: Final[Shape] = case.shape(pool, market, Requirements())
        self.room: Final[Amounts] = self._room()
        self._rules = rules
        stated = {key for kind in market.types for key in kind.requirements.by_key}
        self._open: Final = {key: asked for key, asked in self.shape.asked.items() if key not in stated}
        self._everything: Mask = np.ones(len(market.offerings), np.bool_)

    def sold(self) -> Iterator[Asked]:
        """What decides whether the pool sells an offering at all."""
        if self.pool.is_static or self.pool.meta.is_deleting:
            text = "the pool keeps a fixed number of nodes" if self.pool.is_static else "the pool is being deleted"
            yield Asked(BlockCode.NO_POOLS, POOL, text, "use another NodePool", ~self._everything)
        for wanted in template_requirements(self.pool):
            if wanted.key in _OURS:
                continue
            met = self.market.compatible(wanted)[self.market.owner]
            if self.market.settles(wanted.key):
                met = met & self.market.allowed(wanted)
            change = f"let NodePool {self.pool.name} allow other values of {wanted.key}"
            yield Asked(BlockCode.REQUIREMENTS, POOL, str(wanted), change, met)
        change = "wait until there is capacity again, or allow more zones and types"
        yield Asked(BlockCode.OFFERINGS, CLUSTER, "availability now", change, self.market.available)

    def asked(self) -> Iterator[Asked]:
        """What decides whether an offering that is sold takes the pod."""
        yield from self._refusals()
        yield from self._selectors()
        yield from self._volumes()
        yield from self._resources()
        yield from self._ports()
        yield from self._company()
        yield from self._limits()

    def diversity(self, offerings: Mask) -> Asked | None:
        """The minValues that a machine which may be any of these offerings does not meet; None where it meets all."""
        if self.case.problem.options.min_values is not MinValuesPolicy.STRICT:
            return None
        for wanted in self.pool.requirements:
            least, count = wanted.min_values or 0, len(self._values(wanted.key, offerings))
            if count < least:
                text = f"minValues {least} of {wanted.key}: {count} left"
                change = f"lower minValues of {wanted.key} in NodePool {self.pool.name}"
                return Asked(BlockCode.MIN_VALUES, POOL, text, change, ~self._everything)
        return None

    def _values(self, key: str, offerings: Mask) -> set[str]:
        """The values of the label that the types of the offerings have, or these themselves."""
        if self.market.settles(key):
            codes, values = self.market.offering_labels(key)
            return {value for code in np.unique(codes[offerings]) if (value := values[int(code)]) is not None}
        kinds = [self.market.types[int(number)] for number in np.unique(self.market.owner[offerings])]
        if key == INSTANCE_TYPE:
            return {kind.name for kind in kinds}
        stated = [kind.requirements.by_key[key] for kind in kinds if key in kind.requirements.by_key]
        return {value for each in stated if not each.complement for value in each.values}

    def _refusals(self) -> Iterator[Asked]:
        taint = repelling(self.pool.taints, self.pod.spec.tolerations)
        if taint is not None:
            change = f"add a toleration for {taint} to the pod"
            yield Asked(BlockCode.TAINTS, POOL, f"taint {taint}", change, ~self._everything)
        if self.pod.spec.has_resource_claims:
            text, change = "resource claims of the pod", "ask for devices as extended resources"
            yield Asked(BlockCode.RESOURCE_CLAIMS, POD, text, change, ~self._everything)
        if self.pod.spec.has_match_fields:
            text, change = "matchFields in its node affinity", "use matchExpressions"
            yield Asked(BlockCode.INVALID, POD, text, change, ~self._everything)

    def _selectors(self) -> Iterator[Asked]:
        constraint = self.case.constraint(self.pod.spec)
        for wanted in constraint.selector:
            yield self._label(wanted, "nodeSelector", f"drop the nodeSelector {_shown(wanted)}")
        if len(constraint.terms) == 1:
            for wanted in constraint.terms[0]:
                yield self._label(wanted, "node affinity", f"drop the required node affinity on {wanted.key}")
        elif constraint.terms:
            met = self._satisfies((), constraint.terms)
            text = f"node affinity: one of {len(constraint.terms)} terms"
            yield Asked(BlockCode.REQUIREMENTS, POD, text, "drop or widen the required node affinity", met)

    def _label(self, wanted: Requirement, source: str, change: str) -> Asked:
        met = self._satisfies((wanted,), ())
        defined = wanted.key in self._open or met.any()
        if not defined:
            change += f", or define the label {wanted.key} in NodePool {self.pool.name}"
        return Asked(BlockCode.REQUIREMENTS, POD, f"{source} {_shown(wanted)}", change, met)

    def _satisfies(self, selector: tuple[Requirement, ...], terms: tuple[NodeSelectorTerm, ...]) -> Mask:
        """The offerings whose own labels, or else the pool's, satisfy it: what the pool forbids is its own affair."""
        return self.market.satisfies(NodeConstraint(selector, terms), self._open, surely=False)

    def _volumes(self) -> Iterator[Asked]:
        for volume in self.case.volumes(self.pod):
            if volume.problem:
                text = f"volume {volume.key}: {volume.problem}"
                yield Asked(BlockCode.VOLUME, CLUSTER, text, f"put right the claim {volume.key}", ~self._everything)
            elif volume.constraint is not None:
                met = self.market.satisfies(volume.constraint, self._open, surely=False)
                keys = " ".join(sorted(volume.constraint.keys))
                change = f"move the volume of {volume.key} to where nodes can be bought"
                yield Asked(BlockCode.VOLUME, CLUSTER, f"volume {volume.key}, reachable by {keys}", change, met)

    def _resources(self) -> Iterator[Asked]:
        for name, amount in self.pod.spec.requests:
            if amount and name in self.market.resources:
                met = self.room[:, self.market.resources[name]] >= amount
                shown = format_resources({name: amount})[name]
                yield Asked(BlockCode.RESOURCES, POD, f"{name} {shown}", "", met, name)

    def _ports(self) -> Iterator[Asked]:
        for daemon, outcomes in self.shape.running:
            ports = [
                mine
                for mine in self.pod.spec.host_ports
                for theirs in daemon.spec.host_ports
                if mine.conflicts_with(theirs)
            ]
            if ports:
                text = f"host port {ports[0].port}, which DaemonSet {daemon.key} takes"
                yield Asked(BlockCode.HOST_PORTS, POD, text, "use another host port", ~outcomes)

    def _company(self) -> Iterator[Asked]:
        for rule in self._rules:
            if rule.key == HOSTNAME:
                met = self._everything if rule.admits(NEW) else ~self._everything
            elif self.market.settles(rule.key):
                codes, values = self.market.offering_labels(rule.key)
                met = np.array([rule.admits(value) for value in values], np.bool_)[codes]
            else:
                codes, possible = self.market.possible(rule.key, self.shape.asked)
                open_to = [
                    rule.admits(None)
                    if label is None
                    else label.complement or any(rule.admits(value) for value in label.values)
                    for label in possible
                ]
                met = np.array(open_to, np.bool_)[codes][self.market.owner]
            yield Asked(rule.code, POD, rule.text, rule.change, met)

    def _limits(self) -> Iterator[Asked]:
        if not self.pool.limits:
            return
        rooms = [room.node.capacity for room in self.case.rooms.values() if room.node.pool_name == self.pool.name]
        bought = [
            kind.capacity
            for claim in self.case.plan.claims
            if claim.pool_name == self.pool.name
            and (kind := self.case.type_of(claim, claim.cheapest.instance_type)) is not None
        ]
        used = {**total((*rooms, *bought)), NODES: len(rooms) + len(bought)}
        for name, limit in sorted(self.pool.limits.items()):
            left = limit - used.get(name, 0)
            fits = [(1 if name == NODES else kind.capacity.get(name, 0)) <= left for kind in self.market.types]
            shown = format_resources({name: max(0, left)})[name]
            text = f"limit {name} of NodePool {self.pool.name}: {shown} left of {format_resources({name: limit})[name]}"
            met = np.array(fits, np.bool_)[self.market.owner]
            yield Asked(BlockCode.LIMITS, POOL, text, f"raise limits.{name} of NodePool {self.pool.name}", met)

    def _room(self) -> Amounts:
        """What each offering leaves for pods beside the daemons that run there."""
        room = self.market.allocatable[self.market.owner].copy()
        for daemon, outcomes in self.shape.running:
            room[outcomes] -= self.market.amounts([dict(daemon.spec.requests)])[0]
        return room


def _shown(wanted: Requirement) -> str:
    if len(wanted.values) == 1 and not wanted.complement:
        return f"{wanted.key}={next(iter(wanted.values))}"
    return str(wanted)
