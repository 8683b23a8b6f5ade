"""The pods of a problem, gathered by what tells them apart, and those that cannot be placed whatever is bought."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from nodesmith.decide.schedule.classes import Stance, stances_of
from nodesmith.decide.schedule.problem import Problem
from nodesmith.decide.schedule.stock import StanceKey, Stock
from nodesmith.decide.schedule.volumes import ANYWHERE, volume_alternatives
from nodesmith.model.nodepool import NodePool
from nodesmith.model.pod import Pod, PodSpec
from nodesmith.model.requirements import Requirements
from nodesmith.model.taints import PREFER_NO_SCHEDULE
from nodesmith.plan.reason import BlockCode, Blocked, Unplaced


@dataclass(slots=True)
class Gathered:
    """Pods of one shape, namespace and set of labels."""

    spec: PodSpec
    namespace: str
    labels: Mapping[str, str]
    stances: tuple[Stance, ...]
    is_mover: bool
    pods: list[Pod] = field(default_factory=list)


class Grouping:
    """Gathers pods; `refused` are those that no node can take whatever it is."""

    def __init__(self, problem: Problem, pools: Sequence[NodePool], stock: Stock) -> None:
        self._problem = problem
        self._prefers_untainted = stock.ground(problem.snapshot).has_soft_taints or any(
            taint.effect == PREFER_NO_SCHEDULE for pool in pools for taint in pool.taints
        )
        self._specs = stock.specs
        self._stances: dict[StanceKey, tuple[Stance, ...]] = {}
        self.refused: dict[str, Unplaced] = {}
        self.raw: list[Gathered] = list(self._gather().values())
        self.values_asked = self._values_asked()

    def _gather(self) -> dict[object, Gathered]:
        gathered: dict[object, Gathered] = {}
        quick: dict[tuple[int, int, str, bool], Gathered] = {}
        for pod in by_age(self._problem.pods):
            is_mover = not pod.is_provisionable
            handle = (id(pod.spec), id(pod.meta.labels), pod.meta.namespace, is_mover)
            known = quick.get(handle)
            if known is not None and not pod.spec.volumes:
                known.pods.append(pod)
                continue
            refusal = _refusal(pod)
            volumes = volume_alternatives(pod, self._problem.snapshot.storage) if pod.spec.volumes else ANYWHERE
            if isinstance(volumes, Blocked):
                refusal = volumes
            if refusal is not None or isinstance(volumes, Blocked):
                self.refused[pod.key] = Unplaced(refusal or Blocked(BlockCode.VOLUME, ""))
                continue
            spec = self._specs.one(pod.spec)
            labels = tuple(sorted(pod.meta.labels.items()))
            apart = pod.key if pod.spec.volumes else ""
            identity = (id(spec), pod.meta.namespace, labels, is_mover, apart)
            found = gathered.get(identity)
            if found is None:
                found = gathered[identity] = Gathered(
                    spec, pod.meta.namespace, pod.meta.labels, self._stances_for(spec, volumes), is_mover
                )
            found.pods.append(pod)
            quick[handle] = found
        return gathered

    def _stances_for(self, spec: PodSpec, volumes: tuple[Requirements, ...]) -> tuple[Stance, ...]:
        policy = self._problem.options.preferences
        key = (id(spec), volumes, policy, self._prefers_untainted)
        stances = self._specs.stances.get(key)
        if stances is None:
            stances = stances_of(spec, volumes, policy=policy, prefers_untainted=self._prefers_untainted)
            self._specs.stances[key] = stances
        self._stances[key] = stances
        return stances

    def _values_asked(self) -> Mapping[str, frozenset[str]]:
        """The values that any stance names, and the topology keys that any counts over, by label key."""
        asked: dict[str, set[str]] = {}
        for stances in self._stances.values():
            for stance in stances:
                for key, values in _named(stance.alternatives):
                    asked.setdefault(key, set()).update(values)
                for constraint in stance.spread:
                    asked.setdefault(constraint.topology_key, set())
                for term in (*stance.affinity, *stance.anti_affinity):
                    asked.setdefault(term.topology_key, set())
        return {key: frozenset(values) for key, values in asked.items()}


def _named(alternatives: Iterable[Requirements]) -> Iterable[tuple[str, frozenset[str]]]:
    for alternative in alternatives:
        for requirement in alternative:
            yield requirement.key, requirement.values


def by_age(pods: Iterable[Pod]) -> list[Pod]:
    """The pods in the order of their `age`; moments are compared last, since most are the same and dear to compare."""
    return sorted(sorted(pods, key=lambda pod: (pod.meta.uid, pod.key)), key=lambda pod: pod.meta.created_at)


def age(pod: Pod) -> tuple[datetime, str, str]:
    """Karpenter's order among pods of one size (spec 3.4): the older first, then by uid."""
    return pod.meta.created_at, pod.meta.uid, pod.key


def _refusal(pod: Pod) -> Blocked | None:
    if pod.spec.has_resource_claims:
        return Blocked(BlockCode.RESOURCE_CLAIMS, "pods with dynamic resource claims are not supported")
    if pod.spec.has_match_fields:
        return Blocked(BlockCode.INVALID, "node selector term with matchFields is not supported")
    return None
