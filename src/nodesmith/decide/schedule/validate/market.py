"""A NodePool's catalogue as arrays: which types and offerings a requirement leaves.

Types are numbered in catalogue order, offerings in order of their types. A mask is one boolean for each. Answers are
kept by requirement, because plans ask the same few thousands of times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from nodesmith.decide.schedule.validate.labels import NodeConstraint, Possible, admits, holds, may_hold, narrowed
from nodesmith.model.instancetype import InstanceType, Offering
from nodesmith.model.labels import (
    CAPACITY_TYPE,
    HOSTNAME,
    INSTANCE_TYPE,
    RESERVATION_ID,
    RESERVATION_INTERRUPTIBLE,
    RESERVATION_TYPE,
    WELL_KNOWN,
    ZONE,
    ZONE_ID,
)
from nodesmith.model.requirements import Requirement

Mask = npt.NDArray[np.bool_]
Amounts = npt.NDArray[np.int64]

LARGEST: Final = 2**62
"""Amounts and prices at or above this are all the same: too much."""

_NEW_HOST: Final = Requirement(HOSTNAME, frozenset(("<new>",)))
_Test = Callable[[Requirement, Possible], bool]
_T = TypeVar("_T")


class Market:
    """The types and offerings of one NodePool; `resources` names the columns of amounts."""

    def __init__(self, types: Sequence[InstanceType], resources: Sequence[str]) -> None:
        self.types = tuple(types)
        self.number: Final = {each.name: index for index, each in enumerate(self.types)}
        self.resources: Final = {name: column for column, name in enumerate(resources)}
        self.offerings = [offering for each in self.types for offering in each.offerings]
        counts = np.array([len(each.offerings) for each in self.types], np.int64)
        self.owner = np.repeat(np.arange(len(self.types)), counts)
        self._selling = np.flatnonzero(counts)
        self._first = (np.cumsum(counts) - counts)[self._selling]
        self.available: Mask = np.array([offering.is_available for offering in self.offerings], np.bool_)
        self.price: Amounts = np.array([_picos(offering) for offering in self.offerings], np.int64)
        self.allocatable = self.amounts(each.allocatable for each in self.types)
        self._zone_ids = any(offering.zone_id for offering in self.offerings)
        self._numbers: dict[tuple[str, ...], Amounts] = {}
        self._of_type: dict[str, tuple[Amounts, list[Requirement | None]]] = {}
        self._of_offering: dict[str, tuple[Amounts, list[str | None]]] = {}
        self._overlaps: dict[Requirement, Mask] = {}
        self._allowed: dict[Requirement, Mask] = {}
        self._tested: dict[tuple[_Test, Requirement, Requirement | None], Mask] = {}

    def numbers(self, names: tuple[str, ...]) -> Amounts:
        """The numbers of the types with these names, each once; unknown names are left out."""
        known = self._numbers.get(names)
        if known is None:
            found = dict.fromkeys(map(self.number.get, names))
            found.pop(None, None)
            known = self._numbers[names] = np.array(list(found), np.int64)
        return known

    def amounts(self, parts: Iterable[Mapping[str, int]]) -> Amounts:
        """A row of amounts for each part, one column a resource; what is not named is none."""
        rows = [[max(0, min(part.get(name, 0), LARGEST)) for name in self.resources] for part in parts]
        return np.array(rows, np.int64).reshape(len(rows), len(self.resources))

    def settles(self, key: str) -> bool:
        """Whether offerings, not types, decide the label."""
        if key == ZONE_ID:
            return self._zone_ids
        return key in {ZONE, CAPACITY_TYPE, RESERVATION_ID, RESERVATION_TYPE, RESERVATION_INTERRUPTIBLE}

    def by_type(self, mask: Mask) -> Mask:
        """The types that have an offering in the mask."""
        found = np.zeros(len(self.types), np.bool_)
        if len(self._first):
            found[self._selling] = np.logical_or.reduceat(mask, self._first)
        return found

    def lowest_price(self, mask: Mask) -> Amounts:
        """For each type the lowest known price of its offerings in the mask; LARGEST where there is none."""
        lowest = np.full(len(self.types), LARGEST, np.int64)
        if len(self._first):
            lowest[self._selling] = np.minimum.reduceat(np.where(mask, self.price, LARGEST), self._first)
        return lowest

    def most(self, amounts: Amounts) -> Amounts:
        """For each type the largest amount of each resource over its offerings."""
        largest = np.zeros((len(self.types), amounts.shape[1]), np.int64)
        if len(self._first):
            largest[self._selling] = np.maximum.reduceat(amounts, self._first, axis=0)
        return largest

    def compatible(self, wanted: Requirement) -> Mask:
        """The types whose own requirements go together with it."""
        mask = self._overlaps.get(wanted)
        if mask is None:
            codes, stated = self._type_labels(wanted.key)
            mask = np.array([_goes_with(each, wanted) for each in stated], np.bool_)[codes]
            self._overlaps[wanted] = mask
        return mask

    def allowed(self, wanted: Requirement) -> Mask:
        """The offerings whose label satisfies it; for keys that `settles`."""
        mask = self._allowed.get(wanted)
        if mask is None:
            codes, values = self.offering_labels(wanted.key)
            mask = np.array([admits(wanted, value) for value in values], np.bool_)[codes]
            self._allowed[wanted] = mask
        return mask

    def satisfies(self, constraint: NodeConstraint, asked: Mapping[str, Requirement], *, surely: bool = True) -> Mask:
        """The offerings that satisfy the constraint for a claim that asks `asked`, surely or else possibly."""
        test = holds if surely else may_hold
        mask = np.ones(len(self.offerings), np.bool_)
        for wanted in constraint.selector:
            mask = mask & self._test(test, wanted, asked)
        if not constraint.terms:
            return mask
        either = np.zeros(len(self.offerings), np.bool_)
        for term in constraint.terms:
            if term:
                either |= np.logical_and.reduce([self._test(test, wanted, asked) for wanted in term])
        return mask & either

    def offering_labels(self, key: str) -> tuple[Amounts, list[str | None]]:
        """For each offering the number of its label's value, and the values; for keys that `settles`."""
        if key not in self._of_offering:
            self._of_offering[key] = _numbered([_offering_label(each, key) for each in self.offerings])
        return self._of_offering[key]

    def possible(self, key: str, asked: Mapping[str, Requirement]) -> tuple[Amounts, list[Possible]]:
        """For each type the number of what its label may be, and those; for keys that no offering settles."""
        if key == HOSTNAME:
            return np.zeros(len(self.types), np.int64), [_NEW_HOST]
        codes, stated = self._type_labels(key)
        if key == INSTANCE_TYPE:
            return codes, list(stated)
        return codes, [narrowed(each, asked.get(key)) for each in stated]

    def _test(self, test: _Test, wanted: Requirement, asked: Mapping[str, Requirement]) -> Mask:
        if self.settles(wanted.key):
            return self.allowed(wanted)
        memo = (test, wanted, asked.get(wanted.key))
        if memo not in self._tested:
            codes, possible = self.possible(wanted.key, asked)
            if test is may_hold and wanted.key in WELL_KNOWN and wanted.key not in asked:
                possible = [each or self._unstated(wanted.key, number) for number, each in enumerate(possible)]
            self._tested[memo] = np.array([test(wanted, each) for each in possible], np.bool_)[codes][self.owner]
        return self._tested[memo]

    def _unstated(self, key: str, number: int) -> Possible:
        """What a well-known label may become where the type says nothing of it: whatever a claim asks."""
        stated = self._type_labels(key)[1][number]
        return Requirement(key, complement=True) if stated is None else None

    def _type_labels(self, key: str) -> tuple[Amounts, list[Requirement | None]]:
        if key not in self._of_type:
            if key == INSTANCE_TYPE:
                named = [Requirement(key, frozenset((each.name,))) for each in self.types]
                self._of_type[key] = np.arange(len(self.types)), list(named)
            else:
                self._of_type[key] = _numbered([each.requirements.by_key.get(key) for each in self.types])
        return self._of_type[key]


def _numbered(values: Sequence[_T]) -> tuple[Amounts, list[_T]]:
    numbers: dict[_T, int] = {}
    codes = [numbers.setdefault(value, len(numbers)) for value in values]
    return np.array(codes, np.int64), list(numbers)


def _goes_with(stated: Requirement | None, wanted: Requirement) -> bool:
    return stated is None or stated.overlaps(wanted) or (stated.is_negative and wanted.is_negative)


def _offering_label(offering: Offering, key: str) -> str | None:
    if key == ZONE:
        return offering.zone
    if key == CAPACITY_TYPE:
        return offering.capacity_type
    if key == ZONE_ID:
        return offering.zone_id or None
    if not offering.reservation_id:
        return None
    if key == RESERVATION_ID:
        return offering.reservation_id
    if key == RESERVATION_TYPE:
        return offering.reservation_type or "default"
    return "true" if offering.reservation_interruptible else "false"


def _picos(offering: Offering) -> int:
    return LARGEST if offering.price is None else offering.price.picos
