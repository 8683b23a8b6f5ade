"""Which zone a pod has to be in, as it and its volumes say: a number for dashboards, nothing is decided by it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from nodesmith.decide.schedule.problem import Problem
from nodesmith.decide.schedule.volumes import volume_alternatives
from nodesmith.model.labels import ZONE, canonical
from nodesmith.model.pod import Pod
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.plan.reason import Blocked
from nodesmith.state.snapshot import Storage

FLEXIBLE: Final = "flexible"
NONE: Final = "none"


def pods_by_zone(problem: Problem) -> Counter[str]:
    """How many of the pods need which zone: its name, `flexible` for more than one, `none` where there is none left."""
    offered = frozenset(
        offering.zone for types in problem.catalog.values() for each in types for offering in each.offerings
    )
    storage, known, found = problem.snapshot.storage, dict[int, str](), Counter[str]()
    for pod in problem.pods:
        zone = known.get(id(pod.spec))
        if zone is None:
            zone = effective_zone(pod, storage, offered)
            if not pod.spec.volumes:
                known[id(pod.spec)] = zone
        found[zone] += 1
    return found


def effective_zone(pod: Pod, storage: Storage, offered: Collection[str]) -> str:
    """The one zone of those offered that the pod can be in, or `flexible`, or `none`."""
    volumes = volume_alternatives(pod, storage)
    if isinstance(volumes, Blocked):
        return NONE
    zones = {zone for each in _alternatives(pod, volumes) for zone in offered if each.get(ZONE).allows(zone)}
    if len(zones) > 1:
        return FLEXIBLE
    return next(iter(zones), NONE)


def _alternatives(pod: Pod, volumes: Iterable[Requirements]) -> Iterator[Requirements]:
    chosen = Requirements.of(Requirement(canonical(key), frozenset((value,))) for key, value in pod.spec.node_selector)
    for term in pod.spec.required_node_terms or ((),):
        for volume in volumes:
            yield chosen & Requirements.of(term) & volume
