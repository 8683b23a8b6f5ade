"""Label selectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, order=True)
class Expression:
    """One `matchExpressions` entry of a label selector; `values` sorted."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels satisfy it; an unknown operator is satisfied by nothing."""
        present = self.key in labels
        match self.operator:
            case "In":
                return present and labels[self.key] in self.values
            case "NotIn":
                return not present or labels[self.key] not in self.values
            case "Exists":
                return present
            case "DoesNotExist":
                return not present
            case _:
                return False


@dataclass(frozen=True, slots=True, order=True)
class LabelSelector:
    """All expressions must hold; none at all selects everything. `matchLabels` are In expressions of one value."""

    expressions: tuple[Expression, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected."""
        return all(expression.matches(labels) for expression in self.expressions)

    def also(self, *expressions: Expression) -> LabelSelector:
        """The same selector, narrowed; as a sorted set, so that equal selectors compare equal."""
        return LabelSelector(tuple(sorted({*self.expressions, *expressions})))


EVERYTHING: Final = LabelSelector()
