"""Where pods are or will be, as rules between pods see it: a host and its topology labels.

A claim whose zone (or another topology label) is not settled yet has several options, one for each way it can turn out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import product

import numpy as np

from nodesmith.decide.schedule.validate.case import Case, Room
from nodesmith.decide.schedule.validate.classes import Classes, PodClass
from nodesmith.decide.schedule.validate.labels import NodeConstraint, Possible
from nodesmith.decide.schedule.validate.market import Amounts, Mask
from nodesmith.decide.schedule.validate.shape import Shape
from nodesmith.decide.schedule.validate.violation import claim_name
from nodesmith.model.labels import HOSTNAME
from nodesmith.model.pod import Pod
from nodesmith.model.taints import Taint

_VALUES_OF_A_TYPE = 20
"""Of a label that the launch decides among many values, so many are looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Option:
    """One way a place can turn out: its topology labels, and whether it surely satisfies a constraint.

    Nodes that are alike share one; so do claims of one shape with the same types.
    """

    values: Mapping[str, str | None]
    admits: Callable[[NodeConstraint], bool]


@dataclass(slots=True, eq=False)
class Place:
    """A node or a claim: who runs there, who is put there, and one pod's key for each class that is."""

    name: str
    host: str
    taints: tuple[Taint, ...]
    options: tuple[Option, ...]
    new: dict[PodClass, int] = field(default_factory=dict)
    running: dict[PodClass, int] = field(default_factory=dict)
    leaving: dict[PodClass, int] = field(default_factory=dict)
    examples: dict[PodClass, str] = field(default_factory=dict)
    chosen: int = 0

    @property
    def option(self) -> Option:
        """The option taken for now."""
        return self.options[self.chosen]

    def value(self, key: str) -> str | None:
        """The topology label as the option has it."""
        return self.host if key == HOSTNAME else self.options[self.chosen].values.get(key)


class PlaceBuilder:
    """Makes places of nodes and claims; `keys` are the topology keys that matter, the host name not among them."""

    def __init__(self, case: Case, classes: Classes, keys: Iterable[str]) -> None:
        self._case = case
        self._classes = classes
        self._keys = tuple(sorted(keys))
        self._node_options: dict[tuple[object, ...], Option] = {}
        self._claim_options: dict[tuple[Shape, tuple[str, ...]], tuple[Option, ...]] = {}
        specs = {id(pod.spec): pod.spec for pod in case.pods.values()}
        looked_at = {key for spec in specs.values() for key in case.constraint(spec).keys}
        self._labels = tuple(sorted({*self._keys, *looked_at}))

    def all(self) -> list[Place]:
        """The places of all nodes and claims; claims that can become nothing are left out."""
        places = [self._node(room) for room in self._case.rooms.values()]
        claims = (self._claim(index) for index in range(len(self._case.plan.claims)))
        return places + [place for place in claims if place is not None]

    def _node(self, room: Room) -> Place:
        group = (*map(room.labels.get, self._labels), room.host if HOSTNAME in self._labels else None)
        option = self._node_options.get(group)
        if option is None:
            labels = {HOSTNAME: room.host, **room.labels}
            option = Option({key: labels.get(key) for key in self._keys}, partial(_node_admits, labels))
            self._node_options[group] = option
        place = Place(room.name, room.host, room.taints, (option,))
        for pod in room.staying:
            self._count(place.leaving if pod.meta.is_deleting else place.running, pod)
        return self._with_new(place, self._case.on_node.get(room.name, ()))

    def _claim(self, index: int) -> Place | None:
        claim = self._case.plan.claims[index]
        shape = self._case.shape_of(claim)
        if shape is None:
            return None
        known = self._claim_options.get((shape, claim.instance_types))
        if known is None:
            known = self._claim_options[shape, claim.instance_types] = self._options(shape, claim.instance_types)
        if not known:
            return None
        place = Place(claim_name(index), claim_name(index), shape.pool.taints, known)
        return self._with_new(place, self._case.on_claim.get(index, ()))

    def _with_new(self, place: Place, pods: Iterable[Pod]) -> Place:
        for pod in pods:
            known = self._count(place.new, pod)
            if known not in place.examples:
                place.examples[known] = pod.key
        return place

    def _count(self, counts: dict[PodClass, int], pod: Pod) -> PodClass:
        known = self._classes.of(pod, self._case.constraint(pod.spec))
        counts[known] = counts.get(known, 0) + 1
        return known

    def _options(self, shape: Shape, names: tuple[str, ...]) -> tuple[Option, ...]:
        """The ways in which a claim of these types can turn out, cheapest first."""
        market = shape.market
        listed = np.zeros(len(market.types), np.bool_)
        listed[market.numbers(names)] = True
        pinned = self._pinned(shape)
        if pinned is not None and (listed & shape.launchable).any():
            return (Option(pinned, partial(_types_admit, shape, listed)),)
        outcomes = shape.outcomes & listed[market.owner]
        return tuple(
            Option(dict(zip(self._keys, values, strict=True)), partial(_outcomes_admit, shape, mask))
            for values, mask in _combinations(shape, outcomes, self._keys)
        )

    def _pinned(self, shape: Shape) -> dict[str, str | None] | None:
        """The topology labels of all outcomes, where the claim's requirements settle every one."""
        values: dict[str, str | None] = {}
        for key in self._keys:
            wanted = shape.asked.get(key)
            if wanted is None or wanted.complement or len(wanted.values) != 1:
                return None
            (values[key],) = wanted.values
        return values


def _node_admits(labels: Mapping[str, str], constraint: NodeConstraint) -> bool:
    return constraint.is_open or constraint.admits(labels)


def _types_admit(shape: Shape, listed: Mask, constraint: NodeConstraint) -> bool:
    unmet = shape.unmet(constraint)
    return unmet is None or not (unmet & listed).any()


def _outcomes_admit(shape: Shape, outcomes: Mask, constraint: NodeConstraint) -> bool:
    return constraint.is_open or bool(shape.market.satisfies(constraint, shape.asked)[outcomes].all())


def _combinations(shape: Shape, outcomes: Mask, keys: tuple[str, ...]) -> list[tuple[tuple[str | None, ...], Mask]]:
    """The combinations of topology labels that the outcomes can have, with the outcomes; cheapest first."""
    if not outcomes.any():
        return []
    columns = [_label_choices(shape, key) for key in keys]
    codes = np.array([codes for codes, _ in columns], np.int64).reshape(len(keys), -1)
    found: dict[tuple[str | None, ...], Mask] = {}
    for row in np.unique(codes[:, outcomes], axis=1).T if keys else [()]:
        mask = outcomes & (codes == np.array(row)[:, None]).all(axis=0) if keys else outcomes
        for values in product(*(choices[int(code)] for code, (_, choices) in zip(row, columns, strict=True))):
            found[values] = found[values] | mask if values in found else mask
    cheapest = {values: int(shape.market.price[mask].min()) for values, mask in found.items()}
    return sorted(found.items(), key=lambda item: (cheapest[item[0]], [value or "" for value in item[0]]))


def _label_choices(shape: Shape, key: str) -> tuple[Amounts, list[list[str | None]]]:
    """For each offering the number of what its label may be, and the values open to it."""
    market = shape.market
    if market.settles(key):
        codes, values = market.offering_labels(key)
        return codes, [[value] for value in values]
    by_type, possible = market.possible(key, shape.asked)
    return by_type[market.owner], [_choices(key, each) for each in possible]


def _choices(key: str, possible: Possible) -> list[str | None]:
    if possible is None:
        return [None]
    return [f"<some {key}>"] if possible.complement else [*sorted(possible.values)[:_VALUES_OF_A_TYPE]]
