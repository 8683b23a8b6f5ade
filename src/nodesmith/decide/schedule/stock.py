"""What can be bought, worked out once for all problems of a decision.

Simulations of what would happen if nodes left differ by a few nodes, not by the market: they share one `Stock`. It is a
memory of results and changes no answer.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nodesmith.decide.schedule.machines import Template, build_templates
from nodesmith.decide.schedule.problem import Problem
from nodesmith.decide.schedule.universe import Dimensions, Flags, Universe, merge_catalogs
from nodesmith.model.nodepool import NodePool


@dataclass(slots=True)
class Goods:
    """The offers of some pools for pods that ask for some resources and labels, and what was found out about them."""

    universe: Universe
    templates: list[Template]
    admitted: dict[Hashable, Flags] = field(default_factory=dict)
    fitting: dict[bytes, Flags] = field(default_factory=dict)
    offers: dict[Hashable, Flags] = field(default_factory=dict)
    shelves: dict[bytes, Any] = field(default_factory=dict)


class Stock:
    """Goods by what they depend on. Objects are told apart by identity, so those seen are kept alive."""

    def __init__(self) -> None:
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
            universe, slices = self._universe((market, dimensions.names), pools, catalogs, dimensions)
            templates = build_templates(pools, slices, universe, daemonsets, asked)
            goods = self._goods[key] = Goods(universe, templates)
            self._seen.extend((*pools, *catalogs, *daemonsets))
        return goods

    def _universe(
        self, key: Hashable, pools: Sequence[NodePool], catalogs: Sequence[Any], dimensions: Dimensions
    ) -> tuple[Universe, dict[str, Any]]:
        known = self._universes.get(key)
        if known is None:
            types, parts = merge_catalogs(catalogs)
            slices = {pool.name: part for pool, part in zip(pools, parts, strict=True)}
            known = self._universes[key] = (Universe(types, dimensions), slices)
        return known
