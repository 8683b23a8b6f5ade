"""What keeps a pod where it is: do-not-disrupt annotations (spec 4.8) and PodDisruptionBudgets (spec 5.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from nodesmith.model.pod import Pod
from nodesmith.model.taints import DISRUPTED
from nodesmith.model.workload import PodDisruptionBudget

_UNIT_S: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?P<unit>ns|us|µs|μs|ms|s|m|h)")
_LONGEST: Final = timedelta(days=36500)


class InvalidDoNotDisruptError(ValueError):
    """The annotation is neither `true` nor a positive duration, and is ignored."""


def parse_do_not_disrupt(text: str) -> timedelta | None:
    """How long a pod is protected from its start; None: for as long as it runs.

    Raises:
        InvalidDoNotDisruptError: for anything but `true` and a positive Go duration, `false` included.
    """
    if text == "true":
        return None
    length_s, end = 0.0, 0
    while match := _PART.match(text, end):
        length_s += float(match["number"]) * _UNIT_S[match["unit"]]
        end = match.end()
    if end != len(text) or not text or length_s <= 0:
        raise InvalidDoNotDisruptError(f"{text!r} is neither true nor a positive duration")
    return min(timedelta(seconds=min(length_s, _LONGEST.total_seconds())), _LONGEST)


def is_protected(pod: Pod, now: datetime) -> bool:
    """Whether the pod's own annotation keeps it from being disrupted at this moment."""
    text = pod.do_not_disrupt
    if text is None or not pod.is_active:
        return False
    try:
        length = parse_do_not_disrupt(text)
    except InvalidDoNotDisruptError:
        return False
    return length is None or pod.started_at is None or now < pod.started_at + length


def is_evictable(pod: Pod) -> bool:
    """Whether draining would evict it: it runs, is not a mirror pod, and does not put up with the disrupted taint."""
    return (
        pod.is_active
        and not pod.is_owned_by_node
        and not any(toleration.tolerates(DISRUPTED) for toleration in pod.spec.tolerations)
    )


@dataclass(slots=True)
class Guards:
    """The PodDisruptionBudgets by namespace. Pods of equal labels are matched once."""

    by_namespace: Mapping[str, tuple[PodDisruptionBudget, ...]]
    _matches: dict[tuple[str, frozenset[tuple[str, str]]], tuple[PodDisruptionBudget, ...]] = field(
        default_factory=dict
    )

    @classmethod
    def of(cls, budgets: Iterable[PodDisruptionBudget]) -> Guards:
        """The guards that these budgets are."""
        sorted_out: dict[str, list[PodDisruptionBudget]] = {}
        for budget in sorted(budgets, key=lambda each: each.meta.key):
            sorted_out.setdefault(budget.meta.namespace, []).append(budget)
        return cls({namespace: tuple(found) for namespace, found in sorted_out.items()})

    def over(self, pod: Pod) -> tuple[PodDisruptionBudget, ...]:
        """The budgets that have a say on evicting the pod now."""
        candidates = self.by_namespace.get(pod.meta.namespace)
        if not candidates:
            return ()
        key = (pod.meta.namespace, frozenset(pod.meta.labels.items()))
        found = self._matches.get(key)
        if found is None:
            found = tuple(
                each for each in candidates if each.selector is not None and each.selector.matches(pod.meta.labels)
            )
            self._matches[key] = found
        return found


def prevents(budget: PodDisruptionBudget, pod: Pod) -> bool:
    """Whether the budget forbids evicting the pod now; one whose status nobody has written yet does."""
    if budget.evicts_unready_always and not pod.is_ready:
        return False
    return not budget.disruptions_allowed or budget.disruptions_allowed < 0
