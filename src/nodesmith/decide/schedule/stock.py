"""What can be bought and what is there, worked out once for all problems of a decision.

Simulations of what would happen if nodes left differ by a few nodes, not by the market, nor by the rest of the cluster:
they share one `Stock`. It is a memory of results and changes no answer.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from nodesmith.decide.schedule.classes import Stance
from nodesmith.decide.schedule.machines import Template, build_templates
from nodesmith.decide.schedule.menu import Menu
from nodesmith.decide.schedule.nodes import Nodes
from nodesmith.decide.schedule.problem import PreferencePolicy, Problem
from nodesmith.decide.schedule.standing import Standing
from nodesmith.decide.schedule.universe import Dimensions, Flags, Universe, merge_catalogs
from nodesmith.model.nodepool import NodePool
from nodesmith.model.pod import PodSpec
from nodesmith.model.requirements import Requirements
from nodesmith.model.resources import Resources
from nodesmith.model.taints import PREFER_NO_SCHEDULE
from nodesmith.state.snapshot import Snapshot


@dataclass(slots=True)
class Goods:
    """The offers of some pools for pods that ask for some resources and labels, and what was found out about them."""

    universe: Universe
    templates: list[Template]
    admitted: dict[Hashable, Flags] = field(default_factory=dict)
    fitting: dict[bytes, Flags] = field(default_factory=dict)
    openable: dict[Hashable, Flags] = field(default_factory=dict)
    offers: dict[Hashable, Flags] = field(default_factory=dict)
    shelves: dict[bytes, Any] = field(default_factory=dict)
    menus: dict[tuple[int, bytes], Menu] = field(default_factory=dict)


MOST_GROUNDS: Final = 4
"""Snapshots that are remembered: the one that is decided on, and those of the steps that are looked ahead to."""

MOST_GOODS: Final = 64
"""Sets of offers that are remembered before all is forgotten: what is asked for changes between snapshots."""

StanceKey = tuple[int, tuple[Requirements, ...], PreferencePolicy, bool]


class Ground:
    """What problems over one snapshot have in common."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.standing = Standing(snapshot)
        self.has_soft_taints = any(
            taint.effect == PREFER_NO_SCHEDULE for node in snapshot.nodes for taint in node.taints
        )
        self._nodes: dict[tuple[str, ...], Nodes] = {}
        self._in_use: dict[str, list[tuple[str, Resources]]] | None = None

    def nodes(self, without: frozenset[str], dimensions: Dimensions) -> Nodes:
        """The nodes that stay."""
        nodes = self._nodes.get(dimensions.names)
        if nodes is None:
            nodes = self._nodes[dimensions.names] = Nodes(self.snapshot, dimensions)
        return nodes.less(without)

    def in_use(self, pool: str) -> list[tuple[str, Resources]]:
        """The capacities of the pool's nodes that are not leaving, by name."""
        if self._in_use is None:
            self._in_use = {}
            for node in self.snapshot.nodes:
                if not node.is_deleting:
                    self._in_use.setdefault(node.pool_name, []).append((node.name, node.capacity))
        return self._in_use.get(pool, [])


class Specs:
    """Pod specs, equal ones as one object, with their stances."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[PodSpec, PodSpec]] = {}
        self._shared: dict[PodSpec, PodSpec] = {}
        self.stances: dict[StanceKey, tuple[Stance, ...]] = {}

    def one(self, spec: PodSpec) -> PodSpec:
        """The object that stands for all specs equal to this one."""
        known = self._kept.get(id(spec))
        if known is None:
            known = self._kept[id(spec)] = (spec, self._shared.setdefault(spec, spec))
        return known[1]


class Stock:
    """Goods by what they depend on. Objects are told apart by identity, so those seen are kept alive."""

    def __init__(self) -> None:
        self.specs = Specs()
        self._grounds: list[Ground] = []
        self._universes: dict[Hashable, tuple[Universe, dict[str, Any]]] = {}
        self._goods: dict[Hashable, Goods] = {}
        self._seen: list[object] = []

    def goods(
        self,
        problem: Problem,
        pools: Sequence[NodePool],
        dimensions: Dimensions,
        asked: Mapping[str, frozenset[str]],
    ) -> Goods:
        """The goods of these pools for pods that ask for these resources and label values."""
        catalogs = [problem.catalog[pool.name] for pool in pools]
        daemonsets = problem.snapshot.daemonsets
        market = (*((pool.name, id(pool), id(found)) for pool, found in zip(pools, catalogs, strict=True)),)
        key = (market, tuple(id(each) for each in daemonsets), dimensions.names, tuple(sorted(asked.items())))
        goods = self._goods.get(key)
        if goods is None:
            if len(self._goods) >= MOST_GOODS:
                self._forget()
            universe, slices = self._universe((market, dimensions.names), pools, catalogs, dimensions)
            templates = build_templates(pools, slices, universe, daemonsets, asked)
            goods = self._goods[key] = Goods(universe, templates)
            self._seen.extend((*pools, *catalogs, *daemonsets))
        return goods

    def _forget(self) -> None:
        """Only the snapshots are remembered."""
        self.specs = Specs()
        self._universes, self._goods, self._seen = {}, {}, []

    def ground(self, snapshot: Snapshot) -> Ground:
        """What is there; of the last few snapshots it is remembered."""
        found = next((each for each in self._grounds if each.snapshot is snapshot), None)
        if found is None:
            found = Ground(snapshot)
            self._grounds = [found, *self._grounds[: MOST_GROUNDS - 1]]
        return found

    def _universe(
        self, key: Hashable, pools: Sequence[NodePool], catalogs: Sequence[Any], dimensions: Dimensions
    ) -> tuple[Universe, dict[str, Any]]:
        known = self._universes.get(key)
        if known is None:
            types, parts = merge_catalogs(catalogs)
            slices = {pool.name: part for pool, part in zip(pools, parts, strict=True)}
            known = self._universes[key] = (Universe(types, dimensions), slices)
        return known
