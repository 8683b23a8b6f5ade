"""The algebra of label requirements (spec section 2).

A requirement is a set of label values, or the complement of one, with optional integer bounds. `left & right` allows
what both allow. "No" is a value: `Requirements.conflict` returns an `Incompatible`, or None where the two go together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from nodesmith.model.labels import WELL_KNOWN, canonical

MAX_INT64: Final = 2**63 - 1


class Operator(StrEnum):
    """How a requirement's values are meant."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GT = "Gt"
    LT = "Lt"
    GTE = "Gte"
    LTE = "Lte"


@dataclass(frozen=True, slots=True)
class Requirement:
    """The values a label may have: `values`, or all but those when `complement`; within the bounds.

    `is_needed`: values are excluded, and yet the label has to be there (Exists and NotIn at once).
    """

    key: str
    values: frozenset[str] = frozenset()
    complement: bool = False
    gte: int | None = None
    lte: int | None = None
    min_values: int | None = None
    is_needed: bool = False

    @classmethod
    def of(
        cls,
        key: str,
        operator: Operator | str,
        values: Iterable[str] = (),
        *,
        min_values: int | None = None,
    ) -> Requirement:
        """The requirement a manifest's key, operator and values mean.

        Raises:
            ValueError: for an unknown operator, or a bound that is not one integer.
        """
        operator, listed, key = Operator(operator), tuple(values), canonical(key)
        match operator:
            case Operator.IN:
                return cls(key, frozenset(listed), min_values=min_values)
            case Operator.NOT_IN:
                return cls(key, frozenset(listed), complement=True, min_values=min_values)
            case Operator.EXISTS:
                return cls(key, complement=True, min_values=min_values)
            case Operator.DOES_NOT_EXIST:
                return cls(key, min_values=min_values)
            case _:
                (bound,) = (_integer(value) for value in listed)
                if bound is None:
                    raise ValueError(f"{listed[0]!r} is not an integer")
                return _bounded(key, operator, bound, min_values)

    @property
    def operator(self) -> Operator:
        """The operator that a manifest would use; bounds count as Exists."""
        if self.complement:
            return Operator.NOT_IN if self.values else Operator.EXISTS
        return Operator.IN if self.values else Operator.DOES_NOT_EXIST

    @property
    def is_negative(self) -> bool:
        """Whether a missing label satisfies it (NotIn, DoesNotExist); one with bounds wants a number to be there."""
        is_content = self.operator in {Operator.NOT_IN, Operator.DOES_NOT_EXIST} and not self.is_needed
        return is_content and self.gte is None and self.lte is None

    def allows(self, value: str) -> bool:
        """Whether the label may have this value."""
        if self.complement:
            return value not in self.values and self._within(value)
        return value in self.values and self._within(value)

    def __and__(self, other: Requirement) -> Requirement:
        gte = _tightest(max, self.gte, other.gte)
        lte = _tightest(min, self.lte, other.lte)
        min_values = _tightest(max, self.min_values, other.min_values)
        if gte is not None and lte is not None and gte > lte:
            return Requirement(self.key, min_values=min_values)
        complement = self.complement and other.complement
        if complement:
            values = self.values | other.values
        elif self.complement:
            values = other.values - self.values
        elif other.complement:
            values = self.values - other.values
        else:
            values = self.values & other.values
        is_needed = complement and bool(values) and not (self.is_negative and other.is_negative)
        joint = Requirement(self.key, values, complement, gte, lte, min_values, is_needed)
        if gte is None and lte is None:
            return joint
        kept = frozenset(value for value in values if joint._within(value))
        if complement:
            return replace(joint, values=kept)
        return replace(joint, values=kept, gte=None, lte=None)

    def overlaps(self, other: Requirement) -> bool:
        """Whether some value satisfies both."""
        joint = self & other
        return joint.complement or bool(joint.values)

    def to_manifest(self) -> list[dict[str, object]]:
        """The expressions that state it, values sorted; two when it has both bounds."""
        rest: dict[str, object] = {} if self.min_values is None else {"minValues": self.min_values}
        bounds: list[dict[str, object]] = []
        if self.gte is not None:
            bounds.append({"key": self.key, "operator": "Gte", "values": [str(self.gte)]})
        if self.lte is not None:
            bounds.append({"key": self.key, "operator": "Lte", "values": [str(self.lte)]})
        if bounds and not self.values:
            bounds[0].update(rest)
            return bounds
        stated: dict[str, object] = {"key": self.key, "operator": str(self.operator)}
        if self.values:
            stated["values"] = sorted(self.values)
        if self.is_needed and not bounds:
            return [stated | rest, {"key": self.key, "operator": str(Operator.EXISTS)}]
        return [stated | rest, *bounds]

    def __str__(self) -> str:
        shown = f"{self.key} {self.operator}"
        if self.values:
            listed = sorted(self.values)
            more = f" and {len(listed) - 5} others" if len(listed) > 5 else ""  # noqa: PLR2004 - enough to read
            shown += f" [{' '.join(listed[:5])}{more}]"
        if self.gte is not None:
            shown += f" >={self.gte}"
        if self.lte is not None:
            shown += f" <={self.lte}"
        if self.min_values is not None:
            shown += f" minValues {self.min_values}"
        return shown

    def _within(self, value: str) -> bool:
        if self.gte is None and self.lte is None:
            return True
        number = _integer(value)
        if number is None:
            return False
        return (self.gte is None or number >= self.gte) and (self.lte is None or number <= self.lte)


@dataclass(frozen=True, slots=True)
class Incompatible:
    """Why one side cannot satisfy the other: the key, what was asked, what there is (None: label undefined)."""

    key: str
    wanted: Requirement
    present: Requirement | None

    def __str__(self) -> str:
        if self.present is None:
            return f'label "{self.key}" does not have known values'
        return f"key {self.key}, {self.wanted} not in {self.present}"


@dataclass(frozen=True, slots=True)
class Requirements:
    """At most one requirement a key; an absent key is unconstrained."""

    by_key: Mapping[str, Requirement] = field(default_factory=dict)

    @classmethod
    def of(cls, requirements: Iterable[Requirement]) -> Requirements:
        """All of the requirements at once; those of one key intersected."""
        merged: dict[str, Requirement] = {}
        for requirement in requirements:
            present = merged.get(requirement.key)
            merged[requirement.key] = requirement if present is None else present & requirement
        return cls(merged)

    @classmethod
    def all_of(cls, requirements: Iterable[Requirement]) -> Requirements:
        """As `of`, exact: where no value is left of a label that one of them wants, its absence will not do either."""
        stated = tuple(requirements)
        merged = cls.of(stated)
        wanted = {each.key for each in stated if not each.is_negative}
        void = [key for key in wanted if merged.by_key[key].operator is Operator.DOES_NOT_EXIST]
        if not void:
            return merged
        return cls({**merged.by_key, **{key: Requirement(key, complement=True, gte=1, lte=0) for key in void}})

    @classmethod
    def from_labels(cls, labels: Mapping[str, str]) -> Requirements:
        """The requirements that exactly these labels satisfy."""
        return cls.of(Requirement(canonical(key), frozenset((value,))) for key, value in labels.items())

    def __iter__(self) -> Iterator[Requirement]:
        return iter(self.by_key.values())

    def __hash__(self) -> int:
        return hash(frozenset(self.by_key.values()))

    def __contains__(self, key: object) -> bool:
        return key in self.by_key

    def __len__(self) -> int:
        return len(self.by_key)

    def __bool__(self) -> bool:
        return bool(self.by_key)

    def get(self, key: str) -> Requirement:
        """The requirement on the key; Exists where there is none."""
        return self.by_key.get(key) or Requirement(key, complement=True)

    def __and__(self, other: Requirements) -> Requirements:
        if not other.by_key:
            return self
        if not self.by_key:
            return other
        return Requirements.of((*self, *other))

    def without(self, keys: Iterable[str]) -> Requirements:
        """The same without the requirements on these keys."""
        dropped = frozenset(keys)
        return Requirements({key: value for key, value in self.by_key.items() if key not in dropped})

    def intersection_conflict(self, incoming: Requirements) -> Incompatible | None:
        """The first key, in order of name, on which both sides have a say and no value pleases both."""
        for key in sorted(self.by_key.keys() & incoming.by_key.keys()):
            present, wanted = self.by_key[key], incoming.by_key[key]
            if not present.overlaps(wanted) and not (present.is_negative and wanted.is_negative):
                return Incompatible(key, wanted, present)
        return None

    def conflict(self, incoming: Requirements, *, allow_undefined: frozenset[str] = frozenset()) -> Incompatible | None:
        """Why something labelled by this cannot satisfy `incoming`, or None when it can (spec 2, Compatible).

        A key that this side lacks is refused unless it is in `allow_undefined` or `incoming` is content without it.
        """
        for key in sorted(incoming.by_key):
            wanted = incoming.by_key[key]
            if key not in allow_undefined and key not in self.by_key and not wanted.is_negative:
                return Incompatible(key, wanted, None)
        return self.intersection_conflict(incoming)

    def conflict_with_new_node(self, incoming: Requirements) -> Incompatible | None:
        """As `conflict` for a node yet to be bought: well-known labels may still be undefined."""
        return self.conflict(incoming, allow_undefined=WELL_KNOWN)

    def to_manifest(self) -> list[dict[str, object]]:
        """The expressions that state them, in order of key."""
        return [stated for key in sorted(self.by_key) for stated in self.by_key[key].to_manifest()]


def _bounded(key: str, operator: Operator, bound: int, min_values: int | None) -> Requirement:
    match operator:
        case Operator.GT if bound >= MAX_INT64:
            return Requirement(key)
        case Operator.GT:
            return Requirement(key, complement=True, gte=bound + 1, min_values=min_values)
        case Operator.GTE:
            return Requirement(key, complement=True, gte=bound, min_values=min_values)
        case Operator.LT:
            return Requirement(key, complement=True, lte=bound - 1, min_values=min_values)
        case _:
            return Requirement(key, complement=True, lte=bound, min_values=min_values)


def _integer(value: str) -> int | None:
    """The 64-bit number that a label value is, or None; Python's `1_0` is no number to Kubernetes."""
    digits = value[1:] if value[:1] in {"-", "+"} else value
    if not (digits.isascii() and digits.isdecimal()):
        return None
    number = int(value)
    return number if -MAX_INT64 - 1 <= number <= MAX_INT64 else None


def _tightest(choose: Callable[[int, int], int], left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return right if left is None else left
    return choose(left, right)
