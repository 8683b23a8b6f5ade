"""The set-up of a problem: classes, machines and rules between pods, as arrays. Made once, read by every strategy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from nodesmith.decide.schedule.classes import PodClass, Stance
from nodesmith.decide.schedule.grouping import Grouping
from nodesmith.decide.schedule.machines import Template, capacity_for_limits, known_to_types, usable_pools
from nodesmith.decide.schedule.problem import Problem
from nodesmith.decide.schedule.rules import RuleBook
from nodesmith.decide.schedule.stock import Ground, Stock
from nodesmith.decide.schedule.topology import NodeFilter
from nodesmith.decide.schedule.universe import Amounts, Dimensions, Flags, holds
from nodesmith.model.nodepool import NodePool
from nodesmith.model.pod import HostPort, PodSpec
from nodesmith.model.requirements import Requirements
from nodesmith.model.resources import NODES, PODS
from nodesmith.model.taints import TOLERATE_PREFER_NO_SCHEDULE, Toleration, untolerated

StaticKey = tuple[tuple[Requirements, ...], tuple[Toleration, ...], tuple[HostPort, ...]]


def static_key(each: PodClass, stance: Stance) -> StaticKey:
    """What decides which offers admit the class, whatever it requests and whoever else is there."""
    return stance.alternatives, stance.tolerations, each.spec.host_ports


Prices = NDArray[np.float64]
"""Dollars an hour, by offer."""


class World:
    """Everything about a problem that does not change while pods are placed.

    A *bin* is a place for pods: first the nodes that are there (`nodes`), then machines as they are planned. An offer
    is a template and an offering together; its code is `template * len(universe) + offering`.

    A spread constraint counts every domain as empty in which a machine could be bought, for whomever; in a world that
    `is_narrow` only those in which one could be bought for its own pods. That holds as long as nobody else buys there.
    """

    def __init__(self, problem: Problem, stock: Stock | None = None, *, is_narrow: bool = False) -> None:
        self.problem = problem
        self.is_narrow = is_narrow
        snapshot, stock = problem.snapshot, stock or Stock()
        self.ground = stock.ground(snapshot)
        pools = [pool for pool in usable_pools(snapshot.pools) if problem.catalog.get(pool.name)]
        self.grouping = Grouping(problem, pools, stock)
        daemon_specs = [daemonset.template for daemonset in snapshot.daemonsets]
        self.dimensions = _dimensions([each.spec for each in self.grouping.raw], daemon_specs)
        self.goods = stock.goods(problem, pools, self.dimensions, self.grouping.values_asked)
        self.universe = self.goods.universe
        self.templates: list[Template] = self.goods.templates
        self.prefers_pools = len({template.rank for template in self.templates}) > 1
        self.nodes = self.ground.nodes(problem.without, self.dimensions)
        self.sheltered = self.nodes.sheltered if problem.options.protects_young_nodes else None
        self.rulebook = RuleBook(self)
        self.classes: list[PodClass] = self.rulebook.classes
        self.requests: Amounts = self.dimensions.matrix([dict(each.spec.requests) for each in self.classes])
        self.asked = [[(at, amount) for at, amount in enumerate(row) if amount] for row in self.requests.tolist()]
        self.offer_price: Prices = np.tile(self.universe.price, len(self.templates))
        self.limits_left = {pool.name: _limits_left(pool, self.ground, problem) for pool in pools if pool.limits}
        self.reservations: dict[str, int] = {}
        self.offerings_of_reservation: dict[str, list[int]] = {}
        for index in self.universe.reserved.tolist():
            offering = self.universe.offerings[index]
            known = self.reservations.get(offering.reservation_id, offering.reservation_capacity)
            self.reservations[offering.reservation_id] = min(known, offering.reservation_capacity)
            self.offerings_of_reservation.setdefault(offering.reservation_id, []).append(index)
        self.is_reserved: Flags = np.zeros(len(self.universe), dtype=np.bool_)
        self.is_reserved[self.universe.reserved] = True
        self.priorities = sorted({*(each.spec.priority or 0 for each in self.classes), 0}, reverse=True)
        self._capacities: dict[str, NDArray[np.int64]] = {}
        self._most: dict[str, int] = {}
        self._static_nodes: dict[StaticKey, Flags] = {}
        self._nodes_of_stance: dict[int, Flags] = {}
        self._offers_of_stance: dict[int, Flags] = {}

    def known(self, requirements: Requirements) -> Requirements:
        """The requirements that types and offerings have a say in."""
        return known_to_types(requirements, self.universe)

    def capacity_of(self, name: str) -> NDArray[np.int64]:
        """How much of a limited resource one machine of each type counts for."""
        known = self._capacities.get(name)
        if known is None:
            amounts = [capacity_for_limits(kind).get(name, 0) for kind in self.universe.types]
            known = self._capacities[name] = np.array(amounts, dtype=np.int64)
        return known

    def most_of(self, name: str) -> int:
        """The most that one machine counts for of a limited resource."""
        most = self._most.get(name)
        if most is None:
            most = self._most[name] = int(self.capacity_of(name).max(initial=0))
        return most

    def node_flags(self, stance: Stance) -> Flags:
        """The nodes whose labels and taints admit the stance, which is one of a class of this world, for good."""
        known = self._nodes_of_stance.get(id(stance))
        if known is not None:
            return known
        key: StaticKey = (stance.alternatives, stance.tolerations, ())
        flags = self._static_nodes.get(key)
        if flags is None:
            flags = np.zeros(len(self.nodes), dtype=np.bool_)
            for alternative in stance.alternatives:
                flags |= self.nodes.admitted(alternative)
            flags &= self.nodes.tolerated(stance.tolerations)
            self._static_nodes[key] = flags
        self._nodes_of_stance[id(stance)] = flags
        return flags

    def stance_flags(self, each: PodClass, stance: Stance) -> Flags:
        """By offer: those that admit the class's stance, whatever it requests; one array for all that agree."""
        flags = self._offers_of_stance.get(id(stance))
        if flags is None:
            flags = self._offers_of_stance[id(stance)] = self.admitted_offers(static_key(each, stance))
        return flags

    def offer_flags(self, each: PodClass, stance: Stance) -> Flags:
        """By offer: those that could hold one pod of the class alone, at this stance, and can be had now."""
        static = static_key(each, stance)
        request = self.requests[each.index]
        key = (static, request.tobytes())
        flags = self.goods.offers.get(key)
        if flags is None:
            flags = self.goods.offers[key] = self.admitted_offers(static) & self.fitting_offers(request)
        return flags

    def admitted_offers(self, static: StaticKey) -> Flags:
        """By offer: those that can be had now and whose labels, taints and daemons' ports admit the stance."""
        flags = self.goods.admitted.get(static)
        if flags is None:
            alternatives, tolerations, ports = static
            parts = [
                self._admitted(template, alternatives, tolerations, ports) & template.buyable
                for template in self.templates
            ]
            flags = np.concatenate(parts) if parts else np.zeros(0, dtype=np.bool_)
            self.goods.admitted[static] = flags
        return flags

    def fitting_offers(self, amounts: Amounts) -> Flags:
        """By offer: those whose room holds the amounts."""
        key = amounts.tobytes()
        flags = self.goods.fitting.get(key)
        if flags is None:
            parts = [holds(template.room, amounts)[self.universe.type_of] for template in self.templates]
            flags = np.concatenate(parts) if parts else np.zeros(0, dtype=np.bool_)
            self.goods.fitting[key] = flags
        return flags

    def openable_offers(
        self, selectors: tuple[Requirements, ...], tolerations: tuple[Toleration, ...], request: Amounts
    ) -> Flags:
        """By offer: those that could be had for a pod, whatever daemons or company would have to say there."""
        tolerated = (*tolerations, TOLERATE_PREFER_NO_SCHEDULE)
        key = (selectors, tolerated, request.tobytes())
        flags = self.goods.openable.get(key)
        if flags is None:
            large = holds(self.universe.allocatable, request)[self.universe.type_of] & self.universe.is_open
            parts = [
                self._admitted(template, selectors, tolerated, ()) & template.possible & large
                for template in self.templates
            ]
            flags = self.goods.openable[key] = np.concatenate(parts) if parts else np.zeros(0, dtype=np.bool_)
        return flags

    def filter_offers(self, node_filter: NodeFilter) -> Flags:
        """By offer: those that take part in a spread constraint."""
        parts: list[Flags] = []
        for template in self.templates:
            flags: Flags = np.ones(len(self.universe), dtype=np.bool_)
            if node_filter.selectors is not None:
                flags = flags & self._selected(template, node_filter.selectors)
            if node_filter.tolerations is not None and untolerated(template.taints, node_filter.tolerations):
                flags = np.zeros_like(flags)
            parts.append(np.asarray(flags))
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.bool_)

    def buyable_offers(self) -> Flags:
        """By offer: those that can be had now, for whomever."""
        parts = [template.buyable for template in self.templates]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.bool_)

    def filter_nodes(self, node_filter: NodeFilter) -> Flags:
        """The nodes that take part in a spread constraint."""
        flags = np.ones(len(self.nodes), dtype=np.bool_)
        if node_filter.selectors is not None:
            selected = np.zeros(len(self.nodes), dtype=np.bool_)
            for selector in node_filter.selectors:
                selected |= self.nodes.admitted(selector)
            flags &= selected
        if node_filter.tolerations is not None:
            flags &= self.nodes.tolerated(node_filter.tolerations)
        for key in node_filter.keys:
            flags &= np.array([value is not None for value in self.nodes.values(key)], dtype=np.bool_)
        return flags

    def alternative_for(self, stance: Stance, template: Template, offering: int) -> Requirements:
        """The first alternative of the stance that the offer satisfies: what a claim of it has to state."""
        if len(stance.alternatives) == 1:
            return stance.alternatives[0]
        for alternative in stance.alternatives:
            selected = self._selected(template, (alternative,))
            if np.asarray(selected)[offering]:
                return alternative
        msg = "an offer was taken that admits no alternative of the stance"
        raise AssertionError(msg)

    def _admitted(
        self,
        template: Template,
        alternatives: Sequence[Requirements],
        tolerations: tuple[Toleration, ...],
        ports: tuple[HostPort, ...],
    ) -> Flags:
        if untolerated(template.taints, tolerations) is not None:
            return np.zeros(len(self.universe), dtype=np.bool_)
        flags: Flags = self._selected(template, alternatives)
        for taken, offers in template.daemon_ports:
            if any(port.conflicts_with(taken) for port in ports):
                flags = flags & ~offers
        return flags

    def _selected(self, template: Template, alternatives: Iterable[Requirements]) -> Flags:
        flags: Flags = np.zeros(len(self.universe), dtype=np.bool_)
        for alternative in alternatives:
            if template.requirements.conflict_with_new_node(alternative) is None:
                flags |= self.universe.admitted_by_all(alternative)
        return flags


def _limits_left(pool: NodePool, ground: Ground, problem: Problem) -> dict[str, int]:
    """What the pool's limits leave beside the nodes that it has and keeps."""
    left = dict(pool.limits)
    for node, capacity in ground.in_use(pool.name):
        if node not in problem.without:
            for name in left:
                left[name] -= 1 if name == NODES else capacity.get(name, 0)
    return left


def _dimensions(*specs: Iterable[PodSpec]) -> Dimensions:
    names: dict[str, None] = {PODS: None}
    for each in specs:
        for spec in each:
            names.update(dict.fromkeys(name for name, amount in spec.requests if amount))
    return Dimensions(tuple(sorted(names, key=lambda name: ({"cpu": 0, "memory": 1, PODS: 2}.get(name, 3), name))))
