"""Pods that rules between pods cannot tell apart, and who selects whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from nodesmith.decide.schedule.validate.labels import NodeConstraint
from nodesmith.model.pod import Pod, PodAffinityTerm, PodSpec, TopologySpreadConstraint
from nodesmith.model.selector import EVERYTHING, LabelSelector
from nodesmith.model.workload import Namespace

NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"


@dataclass(frozen=True, slots=True, eq=False)
class PodClass:
    """Pods of one spec and namespace whose labels no selector tells apart."""

    spec: PodSpec
    namespace: str
    labels: Mapping[str, str]
    constraint: NodeConstraint
    spreads: tuple[TopologySpreadConstraint, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Keep the spread constraints that must hold."""
        object.__setattr__(self, "spreads", tuple(each for each in self.spec.topology_spread if each.is_hard))


def hard_rules(spec: PodSpec) -> tuple[PodAffinityTerm | TopologySpreadConstraint, ...]:
    """What must hold between the pod and others: near, away from, evenly among."""
    spreads = tuple(each for each in spec.topology_spread if each.is_hard)
    return (*spec.required_affinity, *spec.required_anti_affinity, *spreads)


def selectors(specs: Iterable[PodSpec]) -> Iterator[LabelSelector]:
    """The label selectors of all hard rules between pods."""
    for spec in specs:
        for rule in hard_rules(spec):
            if rule.selector is not None:
                yield rule.selector


class Classes:
    """The classes of some pods. Every pod is added with `of` before anything is selected."""

    def __init__(self, keys: Iterable[str], namespaces: Mapping[str, Namespace]) -> None:
        self._keys = tuple(sorted(keys))
        self._namespaces = namespaces
        self._known: dict[tuple[int, str, tuple[str | None, ...]], PodClass] = {}
        self._labelled: dict[tuple[str, str], list[PodClass]] = defaultdict(list)
        self._selected: dict[tuple[str, LabelSelector] | PodAffinityTerm, list[PodClass]] = {}

    def of(self, pod: Pod, constraint: NodeConstraint) -> PodClass:
        """The class of the pod."""
        labels = pod.meta.labels
        key = (id(pod.spec), pod.meta.namespace, tuple(map(labels.get, self._keys)))
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = PodClass(pod.spec, pod.meta.namespace, labels, constraint)
            for name, value in zip(self._keys, key[2], strict=True):
                if value is not None:
                    self._labelled[name, value].append(known)
        return known

    def __iter__(self) -> Iterator[PodClass]:
        return iter(self._known.values())

    def counted(self, namespace: str, selector: LabelSelector | None) -> list[PodClass]:
        """The classes that a spread constraint of the namespace counts; a selector of everything counts nothing."""
        if selector is None or selector == EVERYTHING:
            return []
        key = (namespace, selector)
        if key not in self._selected:
            self._selected[key] = [
                each
                for each in self._candidates(selector)
                if each.namespace == namespace and selector.matches(each.labels)
            ]
        return self._selected[key]

    def selected(self, term: PodAffinityTerm) -> list[PodClass]:
        """The classes that the affinity term is about."""
        if term.selector is None:
            return []
        if term not in self._selected:
            self._selected[term] = [
                each
                for each in self._candidates(term.selector)
                if self._is_meant(term, each.namespace) and term.selector.matches(each.labels)
            ]
        return self._selected[term]

    def _is_meant(self, term: PodAffinityTerm, namespace: str) -> bool:
        if namespace in term.namespaces:
            return True
        if term.namespace_selector is None:
            return False
        known = self._namespaces.get(namespace)
        labels = dict(known.meta.labels) if known is not None else {}
        return term.namespace_selector.matches({**labels, NAMESPACE_NAME: namespace})

    def _candidates(self, selector: LabelSelector) -> Iterable[PodClass]:
        for expression in selector.expressions:
            if expression.operator == "In":
                return [
                    each
                    for value in dict.fromkeys(expression.values)
                    for each in self._labelled.get((expression.key, value), ())
                ]
        return self._known.values()
