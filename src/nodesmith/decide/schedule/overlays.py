"""What NodeOverlays make of a catalogue: other prices, more resources (spec 9, NodeOverlay).

Of several overlays on one thing the heaviest counts, of equal ones the last by name; for each price one, and for each
resource of a type one. Two of equal weight that say different things of the same thing conflict: the one that comes
later in that order is not applied at all.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from nodesmith.decide.lifecycle.validation import requirement_faults
from nodesmith.decide.schedule.problem import Catalog
from nodesmith.decide.schedule.universe import DEFINED_BY_OFFERING
from nodesmith.model.instancetype import InstanceType, Offering
from nodesmith.model.labels import NODEPOOL
from nodesmith.model.nodepool import NodePool
from nodesmith.model.overlay import NodeOverlay
from nodesmith.model.requirements import Requirement, Requirements

_KNOWN_RESOURCES: Final = frozenset({"cpu", "memory", "ephemeral-storage", "pods"})
_REMEMBERED: Final = 4


@dataclass(frozen=True, slots=True)
class Overlaid:
    """The catalogue as overlays have it; `faulty` are overlays that say what cannot be, with what; `conflicting`."""

    catalog: Catalog
    faulty: Mapping[str, str] = field(default_factory=dict)
    conflicting: frozenset[str] = frozenset()


def overlaid(catalog: Catalog, pools: Iterable[NodePool], overlays: Iterable[NodeOverlay]) -> Overlaid:
    """The catalogue with every overlay applied that is neither faulty nor in conflict with another."""
    ordered = in_order(overlays)
    faulty = {each.name: fault for each in ordered if (fault := fault_of(each))}
    sound = [each for each in ordered if each.name not in faulty and (each.change is not None or each.capacity)]
    known = [(pool, catalog[pool.name]) for pool in pools if pool.name in catalog]
    conflicting = frozenset(_conflicting(sound, known))
    applied = [each for each in sound if each.name not in conflicting]
    if not applied:
        return Overlaid(catalog, faulty, conflicting)
    changed = {pool.name: tuple(_Overlaying(pool, kind, applied).result() for kind in types) for pool, types in known}
    return Overlaid({**catalog, **changed}, faulty, conflicting)


def in_order(overlays: Iterable[NodeOverlay]) -> list[NodeOverlay]:
    """The overlays, those that come first before those that come second: by weight, then by name, both descending."""
    return sorted(overlays, key=lambda each: (each.weight, each.name), reverse=True)


def fault_of(overlay: NodeOverlay) -> str:
    """What is wrong with an overlay that an API server let through; empty when nothing is."""
    faults = [fault for each in overlay.requirements if each.key != NODEPOOL for fault in requirement_faults(each)]
    faults += [f"invalid capacity: {name} is restricted" for name in sorted(_KNOWN_RESOURCES & overlay.capacity.keys())]
    return "; ".join(faults)


class OverlaidCatalogs:
    """Catalogues under overlays, the last few remembered: the same types under the same overlays are the same objects.

    So what the solver remembers of types stays good. A memory of results, it changes no answer.
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[Overlaid, object]] = {}

    def of(self, catalog: Catalog, pools: Sequence[NodePool], overlays: Sequence[NodeOverlay]) -> Overlaid:
        """See `overlaid`."""
        types = tuple(sorted((name, id(found)) for name, found in catalog.items()))
        key = (types, tuple(sorted(pool.name for pool in pools)), tuple(sorted(id(each) for each in overlays)))
        known = self._known.get(key)
        if known is None:
            while len(self._known) >= _REMEMBERED:
                del self._known[next(iter(self._known))]
            # Objects are told apart by identity, so those of the key are kept alive.
            known = self._known[key] = (overlaid(catalog, pools, overlays), (tuple(catalog.values()), tuple(overlays)))
        return known[0]


class _Overlaying:
    """One type of one pool under overlays."""

    def __init__(self, pool: NodePool, kind: InstanceType, overlays: Sequence[NodeOverlay]) -> None:
        self._kind = kind
        own = Requirement(NODEPOOL, frozenset((pool.name,)))
        self._labels = Requirements({**kind.requirements.by_key, NODEPOOL: own})
        self._overlays = [each for each in overlays if self._labels.conflict_with_new_node(each.requirements) is None]

    def result(self) -> InstanceType:
        """The type as the overlays have it; itself where none is about it."""
        if not self._overlays:
            return self._kind
        offerings = tuple(self._priced(each) for each in self._kind.offerings)
        more: dict[str, int] = {}
        for overlay in self._overlays:
            for name, amount in overlay.capacity.items():
                more.setdefault(name, amount)
        if not more:
            return replace(self._kind, offerings=offerings)
        return replace(self._kind, offerings=offerings, capacity={**self._kind.capacity, **more}, is_overlaid=True)

    def targets(self) -> Iterable[tuple[tuple[object, ...], object, NodeOverlay]]:
        """Everything that an overlay says of the type: of what, what, and which overlay, in order of the overlays."""
        for overlay in self._overlays:
            for name, amount in overlay.capacity.items():
                yield (self._kind.name, name), amount, overlay
            if overlay.change is not None:
                for number, offering in enumerate(self._kind.offerings):
                    if self._is_about(overlay, offering):
                        yield (self._kind.name, number), overlay.change, overlay

    def _priced(self, offering: Offering) -> Offering:
        for overlay in self._overlays:
            if overlay.change is not None and self._is_about(overlay, offering):
                price = overlay.change.applied(offering.price)
                return replace(offering, price=price, overlay=overlay.name)
        return offering

    def _is_about(self, overlay: NodeOverlay, offering: Offering) -> bool:
        stated = {key: value for key, of in DEFINED_BY_OFFERING.items() if (value := of(offering))}
        own = {key: Requirement(key, frozenset((value,))) for key, value in stated.items()}
        return Requirements({**self._labels.by_key, **own}).conflict_with_new_node(overlay.requirements) is None


def _conflicting(
    overlays: Sequence[NodeOverlay], pools: Iterable[tuple[NodePool, Sequence[InstanceType]]]
) -> Iterable[str]:
    """The overlays that say something else than an equally heavy one before them."""
    weights = [each.weight for each in overlays]
    rivals = [each for each in overlays if weights.count(each.weight) > 1]
    if not rivals:
        return
    for pool, types in pools:
        for kind in types:
            said: dict[tuple[object, ...], object] = {}
            for target, value, overlay in _Overlaying(pool, kind, rivals).targets():
                if said.setdefault((*target, overlay.weight), value) != value:
                    yield overlay.name
