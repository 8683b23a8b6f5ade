"""What a NodePool's nodes would be: labels, taints, and the room each instance type leaves after the daemons.

A pool whose template leaves a custom label open (`tier In [gold, silver]`) makes one template for each value that
somebody may care about, so that every machine that is planned has definite labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Final

import numpy as np

from nodesmith.decide.schedule.universe import Amounts, Codes, Flags, Universe
from nodesmith.model import labels
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.nodepool import NodePool
from nodesmith.model.pod import HostPort
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.model.resources import NODES, Resources
from nodesmith.model.taints import PREFER_NO_SCHEDULE, Taint, untolerated
from nodesmith.model.workload import DaemonSet

MOST_VALUES: Final = 64
"""Custom label values told apart in one pool; more would multiply templates beyond use."""


@dataclass(slots=True)
class Template:
    """A node that a pool would make, with definite custom labels.

    `possible` are the offerings that its requirements admit, `buyable` those of them that can be had now; `room` is
    what each type leaves for pods; `daemon_ports` the host ports that daemons take, with the offerings where they do.
    """

    index: int
    pool: NodePool
    rank: int
    requirements: Requirements
    taints: tuple[Taint, ...]
    possible: Flags
    buyable: Flags
    room: Amounts
    daemon_ports: tuple[tuple[HostPort, Flags], ...] = ()
    _codes: dict[str, Codes] = field(default_factory=dict)

    def value(self, key: str) -> str | None:
        """The label's value, when the template itself settles it."""
        stated = self.requirements.by_key.get(key)
        if stated is None or stated.complement or len(stated.values) != 1:
            return None
        return next(iter(stated.values))


def usable_pools(pools: Iterable[NodePool]) -> list[NodePool]:
    """The pools that pods may make nodes from, in Karpenter's order: weight, then name, both descending (spec 3.2)."""
    ready = [
        pool
        for pool in pools
        if not pool.is_static
        and not pool.meta.is_deleting
        and not ((ready := pool.conditions.get("Ready")) and not ready.is_true)
    ]
    return sorted(ready, key=lambda pool: (pool.weight, pool.name), reverse=True)


def build_templates(
    pools: Sequence[NodePool],
    slices: Mapping[str, slice],
    universe: Universe,
    daemonsets: Sequence[DaemonSet],
    asked: Mapping[str, frozenset[str]],
) -> list[Template]:
    """A template for each pool and each choice of its open custom labels.

    Args:
        pools: in order of preference.
        slices: where each pool's types stand in the universe, by pool name.
        universe: all offerings.
        daemonsets: they take room on every node they fit.
        asked: the values that pods name, by label key.
    """
    templates: list[Template] = []
    for pool in pools:
        part = slices[pool.name]
        own = np.zeros(len(universe), dtype=np.bool_)
        own[(universe.type_of >= part.start) & (universe.type_of < part.stop)] = True
        rank = -pool.weight
        for requirements in _definite(pool, universe, asked):
            possible = own & universe.admitted_by_all(known_to_types(requirements, universe))
            room, ports = _room(pool, requirements, universe, daemonsets)
            templates.append(
                Template(
                    index=len(templates),
                    pool=pool,
                    rank=rank,
                    requirements=requirements,
                    taints=pool.taints,
                    possible=possible,
                    buyable=possible & universe.is_open & (room.min(axis=1, initial=0) >= 0)[universe.type_of],
                    room=room,
                    daemon_ports=ports,
                )
            )
    return templates


def template_requirements(pool: NodePool) -> Requirements:
    """What every node of the pool satisfies: its requirements, its labels, its name (spec 3.3)."""
    own = {labels.NODEPOOL: pool.name, labels.NODECLASS: pool.node_class.name}
    return pool.requirements & Requirements.from_labels({**pool.labels, **own})


def capacity_for_limits(kind: InstanceType) -> Resources:
    """What one node of the type counts against its pool's limits."""
    return {**kind.capacity, NODES: 1}


def known_to_types(requirements: Requirements, universe: Universe) -> Requirements:
    """The requirements without those on labels that no type says anything about: only the template settles them."""
    custom = [key for key in requirements.by_key if all(each is None for each in universe.column(key).stated)]
    return requirements.without(custom)


def _definite(pool: NodePool, universe: Universe, asked: Mapping[str, frozenset[str]]) -> list[Requirements]:
    """The pool's requirements with every open label that somebody cares about settled, one way or another."""
    base = template_requirements(pool)
    choices: list[list[Requirement]] = []
    for requirement in base:
        key = requirement.key
        if key not in asked or _settled_by_type(key, universe):
            continue
        if not requirement.complement:
            values = requirement.values if len(requirement.values) > 1 else frozenset[str]()
        else:
            values = frozenset(value for value in asked[key] if requirement.allows(value))
        settled = [Requirement(key, frozenset((value,))) for value in sorted(values)[:MOST_VALUES]]
        if requirement.complement:
            settled.append(Requirement(key, values, complement=True))
        if len(settled) > 1:
            choices.append(settled)
    several = sorted(key for key in asked if key not in base and _is_open_in_types(key, universe))
    for key in several:
        values = frozenset().union(*(each.values for each in universe.column(key).stated if each is not None))
        choices.append([Requirement(key, frozenset((value,))) for value in sorted(values)[:MOST_VALUES]])
    return [base & Requirements.of(choice) for choice in product(*choices)]


def _settled_by_type(key: str, universe: Universe) -> bool:
    stated = universe.column(key).stated
    return any(each is not None for each in stated) and not _is_open_in_types(key, universe)


def _is_open_in_types(key: str, universe: Universe) -> bool:
    return any(
        each is not None and not each.complement and len(each.values) > 1 for each in universe.column(key).stated
    )


def _room(
    pool: NodePool,
    requirements: Requirements,
    universe: Universe,
    daemonsets: Sequence[DaemonSet],
) -> tuple[Amounts, tuple[tuple[HostPort, Flags], ...]]:
    """What each type leaves for pods after the daemons that it would run, and the host ports those take (spec 3.6)."""
    room = universe.allocatable.copy()
    ports: list[tuple[HostPort, Flags]] = []
    for daemonset in daemonsets:
        offers = daemon_offers(daemonset, pool, requirements, universe)
        types = np.zeros(len(universe.types), dtype=np.bool_)
        types[universe.type_of[offers]] = True
        room[types] -= universe.dimensions.vector(dict(daemonset.template.requests))
        ports.extend((port, offers) for port in daemonset.template.host_ports)
    return room, tuple(ports)


def daemon_offers(daemonset: DaemonSet, pool: NodePool, requirements: Requirements, universe: Universe) -> Flags:
    """The offerings of which the daemon would take its share, were a node of the pool made of them."""
    spec = daemonset.template
    none = np.zeros(len(universe), dtype=np.bool_)
    hard = [taint for taint in pool.taints if taint.effect != PREFER_NO_SCHEDULE]
    if untolerated(hard, spec.tolerations) is not None:
        return none
    selector = Requirements.from_labels(dict(spec.node_selector))
    offers = none
    for term in spec.required_node_terms or ((),):
        wanted = Requirements.all_of((*selector, *term)).without(
            (labels.HOSTNAME, labels.REGISTERED, labels.INITIALIZED)
        )
        if requirements.conflict_with_new_node(wanted) is None:
            offers = offers | universe.admitted_by_all(known_to_types(wanted, universe))
    return offers
