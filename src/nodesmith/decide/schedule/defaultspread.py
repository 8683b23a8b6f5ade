"""kube-scheduler's default topology spread: what holds for pods that say nothing about spread themselves.

Only copies of pods get the constraints, those that a plan is made for: in the cluster nothing is written. As with
kube-scheduler, a constraint counts the pods that the pod's Services select, and whoever made it; where neither says
anything, nothing is spread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from nodesmith.decide.schedule.problem import Problem
from nodesmith.model.meta import OwnerReference
from nodesmith.model.pod import Pod, PodSpec, TopologySpreadConstraint
from nodesmith.model.selector import EVERYTHING, LabelSelector
from nodesmith.model.workload import Service
from nodesmith.state.snapshot import Workloads

_MAKERS: Final = frozenset(
    {("v1", "ReplicationController"), ("apps/v1", "ReplicaSet"), ("apps/v1", "StatefulSet"), ("apps/v1", "Deployment")}
)
"""Whose selectors count. No pod of a cluster is a Deployment's: manifests have such, where its ReplicaSet is not."""


def spread_by_default(problem: Problem) -> Problem:
    """The same problem, its pods with the default constraints where they have none of their own."""
    constraints = problem.options.default_spread
    if not constraints:
        return problem
    defaults = Defaults(constraints, problem.snapshot.workloads)
    return replace(problem, pods=tuple(map(defaults.applied, problem.pods)))


class Defaults:
    """The default constraints, worked out once for pods that are alike."""

    def __init__(self, constraints: tuple[TopologySpreadConstraint, ...], workloads: Workloads) -> None:
        self._constraints = constraints
        self._selectors = workloads.selectors
        self._services: dict[str, list[Service]] = {}
        for service in workloads.services:
            self._services.setdefault(service.meta.namespace, []).append(service)
        self._known: dict[tuple[int, int, str, OwnerReference | None], PodSpec] = {}

    def applied(self, pod: Pod) -> Pod:
        """The pod, or a copy that has the default constraints."""
        if pod.spec.topology_spread:
            return pod
        owner = next((each for each in pod.meta.owners if each.controller), None)
        key = (id(pod.spec), id(pod.meta.labels), pod.meta.namespace, owner)
        spec = self._known.get(key)
        if spec is None:
            spec = self._known[key] = self._spread(pod, owner)
        return pod if spec is pod.spec else replace(pod, spec=spec)

    def _spread(self, pod: Pod, owner: OwnerReference | None) -> PodSpec:
        selector = self._selector_for(pod.meta.namespace, pod.meta.labels, owner)
        if not selector.expressions:
            return pod.spec
        return replace(pod.spec, topology_spread=tuple(replace(each, selector=selector) for each in self._constraints))

    def _selector_for(self, namespace: str, labels: Mapping[str, str], owner: OwnerReference | None) -> LabelSelector:
        """What all the pod's Services select, and its controller; without expressions where none says anything."""
        asked = [each.selector for each in self._services.get(namespace, ()) if _selects(each.selector, labels)]
        if owner is not None and (owner.api_version, owner.kind) in _MAKERS:
            asked.append(self._selectors.get((owner.kind, f"{namespace}/{owner.name}")))
        return EVERYTHING.also(*(each for some in asked if some is not None for each in some.expressions))


def _selects(selector: LabelSelector | None, labels: Mapping[str, str]) -> bool:
    return selector is not None and selector.matches(labels)
