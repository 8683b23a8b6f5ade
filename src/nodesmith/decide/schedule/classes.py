"""Pods in classes: pods that no rule tells apart are one class with a count.

A class has stances. The first takes all its preferences for requirements; each further one has given up one more, in
Karpenter's order (spec 3.4). Required node affinity terms are alternatives that hold together (ORed), as kube-scheduler
has it, not one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nodesmith.decide.schedule.problem import PreferencePolicy
from nodesmith.model.labels import canonical
from nodesmith.model.pod import (
    NodeSelectorTerm,
    Pod,
    PodAffinityTerm,
    PodSpec,
    PreferredTerm,
    TopologySpreadConstraint,
    WeightedPodAffinityTerm,
)
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.model.taints import TOLERATE_PREFER_NO_SCHEDULE, Toleration


@dataclass(frozen=True, slots=True)
class Stance:
    """What a class insists on at one level of giving up preferences.

    `alternatives` are node requirements of which one must hold; `selectors` the same without what its volumes add,
    which is what spread counting goes by (spec 3.7).
    """

    alternatives: tuple[Requirements, ...]
    selectors: tuple[Requirements, ...]
    tolerations: tuple[Toleration, ...]
    spread: tuple[TopologySpreadConstraint, ...] = ()
    affinity: tuple[PodAffinityTerm, ...] = ()
    anti_affinity: tuple[PodAffinityTerm, ...] = ()

    @property
    def has_rules(self) -> bool:
        """Whether other pods matter to where it may go."""
        return bool(self.spread or self.affinity or self.anti_affinity)


@dataclass(slots=True)
class PodClass:
    """Pods that no rule tells apart, by key; `is_mover` when they run somewhere now and have to move."""

    index: int
    spec: PodSpec
    namespace: str
    labels: Mapping[str, str]
    stances: tuple[Stance, ...]
    is_mover: bool = False
    pods: list[Pod] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many pods it has."""
        return len(self.pods)


def stances_of(
    spec: PodSpec,
    volume_alternatives: Sequence[Requirements],
    *,
    policy: PreferencePolicy,
    prefers_untainted: bool,
) -> tuple[Stance, ...]:
    """The ladder of stances, most demanding first.

    Args:
        spec: the pod's shape.
        volume_alternatives: what its volumes ask of a node, one of which must hold; empty requirements for no volume.
        policy: whether preferences are looked at.
        prefers_untainted: whether some NodePool has a PreferNoSchedule taint, so that avoiding it is a preference.
    """
    selector = Requirements.of(Requirement(canonical(key), frozenset((value,))) for key, value in spec.node_selector)
    terms: tuple[NodeSelectorTerm, ...] = spec.required_node_terms or ((),)
    selectors = tuple(Requirements.all_of((*selector, *term)) for term in terms)
    alternatives = tuple(
        Requirements.all_of((*each, *volume)) if volume else each
        for each in selectors
        for volume in volume_alternatives
    )
    tolerates_all = (*spec.tolerations, TOLERATE_PREFER_NO_SCHEDULE)
    last = Stance(
        alternatives=alternatives,
        selectors=selectors,
        tolerations=tolerates_all if prefers_untainted else spec.tolerations,
        spread=tuple(each for each in spec.topology_spread if each.is_hard),
        affinity=spec.required_affinity,
        anti_affinity=spec.required_anti_affinity,
    )
    if policy is PreferencePolicy.IGNORE:
        # As upstream: the policy is about what pods prefer, and a PreferNoSchedule taint is a NodePool's.
        return (replace(last, tolerations=spec.tolerations), last) if prefers_untainted else (last,)
    return tuple(_ladder(spec, last, prefers_untainted=prefers_untainted))


def _ladder(spec: PodSpec, last: Stance, *, prefers_untainted: bool) -> Iterator[Stance]:
    """Every stance from all preferences to none, one given up at a time."""
    affinity = _heaviest_first(spec.preferred_affinity)
    shunned = _heaviest_first(spec.preferred_anti_affinity)
    preferred = [each.term for each in _sorted_terms(spec.preferred_node_terms)]
    soft = [each for each in spec.topology_spread if not each.is_hard]
    avoids = 1 if prefers_untainted else 0
    while True:
        yield replace(
            last,
            alternatives=_narrowed(last.alternatives, preferred),
            selectors=last.selectors,
            tolerations=spec.tolerations if avoids else last.tolerations,
            spread=(*last.spread, *soft),
            affinity=(*last.affinity, *affinity),
            anti_affinity=(*last.anti_affinity, *shunned),
        )
        for kept in (affinity, shunned, preferred, soft):
            if kept:
                kept.pop(0)
                break
        else:
            if not avoids:
                return
            avoids = 0


def _narrowed(alternatives: Iterable[Requirements], preferred: Sequence[NodeSelectorTerm]) -> tuple[Requirements, ...]:
    """The alternatives with the heaviest preferred term still held, when there is one."""
    if not preferred:
        return tuple(alternatives)
    return tuple(Requirements.all_of((*each, *preferred[0])) for each in alternatives)


def _sorted_terms(terms: Sequence[PreferredTerm]) -> list[PreferredTerm]:
    return sorted(terms, key=lambda each: -each.weight)


def _heaviest_first(terms: Sequence[WeightedPodAffinityTerm]) -> list[PodAffinityTerm]:
    return [each.term for each in sorted(terms, key=lambda each: -each.weight)]
