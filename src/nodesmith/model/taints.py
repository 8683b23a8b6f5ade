"""Taints and tolerations, by Kubernetes' rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from nodesmith.model.labels import DISRUPTED_TAINT, UNREGISTERED_TAINT

NO_SCHEDULE: Final = "NoSchedule"
PREFER_NO_SCHEDULE: Final = "PreferNoSchedule"
NO_EXECUTE: Final = "NoExecute"
EFFECTS: Final = (NO_SCHEDULE, PREFER_NO_SCHEDULE, NO_EXECUTE)


@dataclass(frozen=True, slots=True, order=True)
class Taint:
    """Keeps pods off a node unless they tolerate it."""

    key: str
    effect: str
    value: str = ""

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"


@dataclass(frozen=True, slots=True)
class Toleration:
    """What a pod puts up with; an empty key with Exists tolerates everything."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""

    def tolerates(self, taint: Taint) -> bool:
        """Whether the taint is put up with."""
        if self.effect and self.effect != taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        if self.operator == "Exists":
            return True
        return bool(self.key) and self.value == taint.value


DISRUPTED: Final = Taint(DISRUPTED_TAINT, NO_SCHEDULE)
UNREGISTERED: Final = Taint(UNREGISTERED_TAINT, NO_EXECUTE)
TOLERATE_PREFER_NO_SCHEDULE: Final = Toleration(operator="Exists", effect=PREFER_NO_SCHEDULE)

_EPHEMERAL: Final = frozenset(
    {
        Taint("node.kubernetes.io/not-ready", NO_SCHEDULE),
        Taint("node.kubernetes.io/not-ready", NO_EXECUTE),
        Taint("node.kubernetes.io/unreachable", NO_SCHEDULE),
        Taint("node.cloudprovider.kubernetes.io/uninitialized", NO_SCHEDULE, "true"),
        UNREGISTERED,
    }
)
_READINESS_PREFIX: Final = "readiness.k8s.io/"


def is_ephemeral(taint: Taint) -> bool:
    """Whether the taint goes away by itself while a node comes up (spec section 2, Taints)."""
    return taint in _EPHEMERAL or taint.key.startswith(_READINESS_PREFIX)


def untolerated(taints: Iterable[Taint], tolerations: Iterable[Toleration]) -> Taint | None:
    """The first taint that no toleration puts up with, PreferNoSchedule included, or None."""
    accepted = tuple(tolerations)
    return next((taint for taint in taints if not any(each.tolerates(taint) for each in accepted)), None)


def merge(taints: Iterable[Taint], added: Iterable[Taint]) -> tuple[Taint, ...]:
    """The taints, and of `added` those whose key and effect are not there yet."""
    merged = list(taints)
    present = {(taint.key, taint.effect) for taint in merged}
    for taint in added:
        if (taint.key, taint.effect) not in present:
            present.add((taint.key, taint.effect))
            merged.append(taint)
    return tuple(merged)
