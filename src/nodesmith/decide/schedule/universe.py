"""Everything that can be bought, as arrays.

An offering is one way to buy a type; its index is its place in every array here. A requirement is a boolean array over
the offerings it admits, worked out once for each distinct requirement: a decision is then an AND of a few of them, and
the same arrays say how many offerings each constraint removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodesmith.model import labels
from nodesmith.model.instancetype import InstanceType, Offering
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.model.resources import Resources

Flags = NDArray[np.bool_]
"""One truth value an offering (or a bin)."""
Amounts = NDArray[np.int64]
"""Resource amounts: one column a dimension."""
Codes = NDArray[np.int32]
"""Which of a short list of values each offering (or bin) has; -1 for none."""

DEFINED_BY_OFFERING: dict[str, Callable[[Offering], str]] = {
    labels.ZONE: lambda offering: offering.zone,
    labels.ZONE_ID: lambda offering: offering.zone_id,
    labels.CAPACITY_TYPE: lambda offering: offering.capacity_type,
    labels.RESERVATION_ID: lambda offering: offering.reservation_id,
    labels.RESERVATION_TYPE: lambda offering: offering.reservation_type,
    labels.RESERVATION_INTERRUPTIBLE: lambda offering: (
        str(offering.reservation_interruptible).lower() if offering.reservation_id else ""
    ),
    labels.PLACEMENT_GROUP_PARTITION: lambda offering: offering.partition,
}
"""Labels whose value an offering decides."""


@dataclass(frozen=True, slots=True)
class Dimensions:
    """The resources that somebody asks for, in a fixed order: the columns of every amount array."""

    names: tuple[str, ...]

    def vector(self, amounts: Resources) -> Amounts:
        """The amounts as one row; resources nobody asks for are left out."""
        return np.array([amounts.get(name, 0) for name in self.names], dtype=np.int64)

    def matrix(self, rows: Sequence[Resources]) -> Amounts:
        """The amounts as one row each."""
        return np.array([[row.get(name, 0) for name in self.names] for row in rows], dtype=np.int64).reshape(
            len(rows), len(self.names)
        )


def holds(rooms: Amounts, amounts: Amounts) -> Flags:
    """The rows of rooms that have at least the amounts in every dimension."""
    enough: Flags = np.logical_and.reduce(rooms >= amounts, axis=1)
    return enough


class Column:
    """The requirements that the rows of a table put on one key, each distinct one once; None where it is undefined."""

    def __init__(self, stated: Iterable[Requirement | None], rows: NDArray[np.int64]) -> None:
        """The column in which each row says what `stated` has at its number in `rows`; all of it is said by some."""
        index: dict[Requirement | None, int] = {}
        codes = [index.setdefault(requirement, len(index)) for requirement in stated]
        self.codes: Codes = np.array(codes, dtype=np.int32)[rows]
        self.stated = list(index)

    def select(self, admits: Callable[[Requirement | None], bool]) -> Flags:
        """The rows whose requirement `admits` accepts."""
        accepted = np.array([admits(requirement) for requirement in self.stated], dtype=np.bool_)
        return accepted[self.codes] if len(accepted) else np.zeros(0, dtype=np.bool_)


class Universe:
    """The offerings of all instance types, in order of type and then as listed."""

    def __init__(self, types: Sequence[InstanceType], dimensions: Dimensions) -> None:
        self.types = tuple(types)
        self.dimensions = dimensions
        self.offerings: tuple[Offering, ...] = tuple(offering for each in self.types for offering in each.offerings)
        counts = [len(each.offerings) for each in self.types]
        self.type_of = np.repeat(np.arange(len(self.types), dtype=np.int32), counts)
        self.price = np.array([offering.price.dollars if offering.price else np.inf for offering in self.offerings])
        self.is_spot = np.array([offering.capacity_type == labels.SPOT for offering in self.offerings], dtype=np.bool_)
        self.by_price = np.argsort(self.price, kind="stable")
        self.is_open = np.array(
            [offering.is_available and offering.price is not None for offering in self.offerings],
            dtype=np.bool_,
        )
        self.is_overlaid = np.array([bool(offering.overlay) for offering in self.offerings], dtype=np.bool_)
        self.is_resized = np.array([each.is_overlaid for each in self.types], dtype=np.bool_)
        self.reserved = np.flatnonzero([offering.is_reserved for offering in self.offerings])
        self.allocatable = dimensions.matrix([each.allocatable for each in self.types])
        self._columns: dict[str, Column] = {}
        self._masks: dict[Requirement, Flags] = {}
        self._all = np.ones(len(self.offerings), dtype=np.bool_)

    def __len__(self) -> int:
        return len(self.offerings)

    def column(self, key: str) -> Column:
        """What the offerings say about the label `key`."""
        column = self._columns.get(key)
        if column is None:
            column = self._columns[key] = self._build_column(key)
        return column

    def admitted(self, requirement: Requirement) -> Flags:
        """The offerings that can satisfy the requirement; one that does not define the key does (Intersects)."""
        mask = self._masks.get(requirement)
        if mask is None:
            mask = self.column(requirement.key).select(
                lambda stated: (
                    stated is None or stated.overlaps(requirement) or (stated.is_negative and requirement.is_negative)
                )
            )
            self._masks[requirement] = mask
        return mask

    def admitted_by_all(self, requirements: Requirements) -> Flags:
        """The offerings that can satisfy every one of the requirements."""
        mask = self._all
        for requirement in requirements:
            mask = mask & self.admitted(requirement)
        return mask

    def values(self, key: str) -> list[str | None]:
        """The single value of the label for each offering; None where it has none or several."""
        column = self.column(key)
        single = [
            next(iter(stated.values))
            if stated is not None and not stated.complement and len(stated.values) == 1
            else None
            for stated in column.stated
        ]
        return [single[code] for code in column.codes]

    def _build_column(self, key: str) -> Column:
        value_of = DEFINED_BY_OFFERING.get(key)
        selling = [each for each in self.types if each.offerings]
        if value_of is None:
            counts = [len(each.offerings) for each in selling]
            stated = [each.requirements.by_key.get(key) for each in selling]
            return Column(stated, np.repeat(np.arange(len(selling)), counts))
        undefined, numbers = Requirement(key), dict[str | int, int]()
        said: list[Requirement] = []
        rows: list[int] = []
        for number, each in enumerate(selling):
            for offering in each.offerings:
                # An offering that has no say leaves it to its type: a catalogue need not know zone ids.
                value = value_of(offering) or number
                row = numbers.setdefault(value, len(said))
                if row == len(said):
                    by_type = each.requirements.by_key.get(key) or undefined
                    said.append(Requirement(key, frozenset((value,))) if isinstance(value, str) else by_type)
                rows.append(row)
        return Column(said, np.array(rows, dtype=np.int64))


def merge_catalogs(catalogs: Iterable[Sequence[InstanceType]]) -> tuple[list[InstanceType], list[Any]]:
    """All types of all catalogues, one catalogue after the other, each distinct one once; and the slice of each.

    Catalogues are told apart by identity, then by their first and last type: pools of one NodeClass share one.
    """
    merged: list[InstanceType] = []
    slices: list[slice] = []
    seen: dict[int, slice] = {}
    for catalog in catalogs:
        if id(catalog) not in seen:
            seen[id(catalog)] = slice(len(merged), len(merged) + len(catalog))
            merged.extend(catalog)
        slices.append(seen[id(catalog)])
    return merged, slices
