"""Whether a label that is not settled yet satisfies a requirement.

What a label may turn out to be is a `Possible`: the values it may have, or None when the node will not carry it. A
requirement *holds* when it is satisfied however the label turns out, and *may hold* when it is for one of the ways.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nodesmith.model.labels import canonical
from nodesmith.model.pod import NodeSelectorTerm, PodSpec
from nodesmith.model.requirements import Requirement

Possible = Requirement | None


def content_with_absence(wanted: Requirement) -> bool:
    """Whether a node without the label satisfies it."""
    return wanted.is_negative and wanted.gte is None and wanted.lte is None


def admits(wanted: Requirement, value: str | None) -> bool:
    """Whether a settled label satisfies it; None: the node lacks the label."""
    return content_with_absence(wanted) if value is None else wanted.allows(value)


def holds(wanted: Requirement, possible: Possible) -> bool:
    """Whether it is satisfied by every value the label may have."""
    if possible is None:
        return content_with_absence(wanted)
    if not possible.complement:
        return all(wanted.allows(value) for value in possible.values)
    if not wanted.complement:
        return False
    if wanted.gte is not None and (possible.gte is None or possible.gte < wanted.gte):
        return False
    if wanted.lte is not None and (possible.lte is None or possible.lte > wanted.lte):
        return False
    return not any(possible.allows(value) for value in wanted.values)


def may_hold(wanted: Requirement, possible: Possible) -> bool:
    """Whether it is satisfied by some value the label may have."""
    return content_with_absence(wanted) if possible is None else wanted.overlaps(possible)


def narrowed(stated: Requirement | None, asked: Requirement | None) -> Possible:
    """What the label may be where the instance type states one thing and the claim asks another."""
    if stated is not None and not stated.complement and not stated.values:
        return None
    joint = asked if stated is None else stated if asked is None else stated & asked
    if joint is None or (not joint.complement and not joint.values):
        return None
    return joint


@dataclass(frozen=True, slots=True, eq=False)
class NodeConstraint:
    """What a pod or a volume asks of a node's labels: all of `selector`, and one of `terms` where there are any.

    A term without expressions matches nothing, as in Kubernetes. Compared by identity: `Constraints` keeps one of each.
    """

    selector: tuple[Requirement, ...] = ()
    terms: tuple[NodeSelectorTerm, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether every node will do."""
        return not self.selector and not self.terms

    @property
    def keys(self) -> frozenset[str]:
        """The labels that it looks at."""
        return frozenset(wanted.key for wanted in self._all())

    def admits(self, labels: Mapping[str, str]) -> bool:
        """Whether a node with these labels satisfies it."""
        if not all(admits(wanted, labels.get(wanted.key)) for wanted in self.selector):
            return False
        return not self.terms or any(
            term and all(admits(wanted, labels.get(wanted.key)) for wanted in term) for term in self.terms
        )

    def _all(self) -> Iterable[Requirement]:
        yield from self.selector
        for term in self.terms:
            yield from term


class Constraints:
    """One `NodeConstraint` object for equal ones, so that what was found out about it is found again."""

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[Requirement, ...], tuple[NodeSelectorTerm, ...]], NodeConstraint] = {}

    def of_pod(self, spec: PodSpec) -> NodeConstraint:
        """The pod's node selector and required node affinity."""
        selector = tuple(Requirement(canonical(key), frozenset((value,))) for key, value in spec.node_selector)
        return self.of(selector, spec.required_node_terms)

    def of(self, selector: tuple[Requirement, ...], terms: tuple[NodeSelectorTerm, ...]) -> NodeConstraint:
        """The constraint of a selector and terms."""
        key = (selector, terms)
        if key not in self._known:
            self._known[key] = NodeConstraint(selector, terms)
        return self._known[key]
