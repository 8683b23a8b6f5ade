"""What the scheduler is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from nodesmith.model.instancetype import InstanceType
from nodesmith.model.pod import Pod, TopologySpreadConstraint
from nodesmith.state.snapshot import Snapshot

TimeIsUp = Callable[[], bool]
"""Asked now and then whether to come to an end."""

Catalog = Mapping[str, Sequence[InstanceType]]
"""Instance types by NodePool name; a pool that is missing cannot be bought from."""


class PreferencePolicy(StrEnum):
    """Whether preferences are tried (and relaxed), or not looked at."""

    RESPECT = "Respect"
    IGNORE = "Ignore"


class MinValuesPolicy(StrEnum):
    """Whether minValues must hold, or as far as they can."""

    STRICT = "Strict"
    BEST_EFFORT = "BestEffort"


class PricingPolicy(StrEnum):
    """Which plan is taken: the cheapest found, or the plain greedy's as Karpenter would."""

    LOWEST = "lowest"
    KARPENTER = "karpenter"


DEFAULT_STEPS = 150
"""Steps of improvement; each takes 10 to 30 ms, and the first fifty save most."""

SPOT_RISK = 0.05
"""A claim that only one spot pool can fill counts for this part more than its price, one that n can fill for an
nth of that. Our own choice: it decides between plans that cost nearly the same."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to decide. `default_spread` is kube-scheduler's: for pods without spread constraints of their own."""

    preferences: PreferencePolicy = PreferencePolicy.RESPECT
    min_values: MinValuesPolicy = MinValuesPolicy.STRICT
    pricing: PricingPolicy = PricingPolicy.LOWEST
    protects_young_nodes: bool = False
    steps: int = DEFAULT_STEPS
    spot_risk: float = SPOT_RISK
    default_spread: tuple[TopologySpreadConstraint, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """Place `pods`, given the cluster less the nodes named in `without` (simulated as gone, their pods with them)."""

    snapshot: Snapshot
    catalog: Catalog
    pods: tuple[Pod, ...]
    without: frozenset[str] = frozenset()
    options: Options = field(default_factory=Options)


def pods_to_place(snapshot: Snapshot) -> tuple[Pod, ...]:
    """The pods that wait for a node, and those whose node is leaving, by key (spec 3.2)."""
    leaving = [pod for node in snapshot.nodes if node.is_deleting for pod in node.pods if pod.is_reschedulable]
    waiting = [pod for pod in snapshot.pods if pod.is_provisionable]
    return tuple(sorted({pod.key: pod for pod in (*waiting, *leaving)}.values(), key=lambda pod: pod.key))
