"""Who keeps a leaving node from going, by name: what a stuck deletion is told with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from nodesmith.decide.disrupt.protection import Guards, is_protected, prevents
from nodesmith.decide.lifecycle.drain import is_waited_for
from nodesmith.model.labels import DO_NOT_DISRUPT
from nodesmith.model.pod import Pod
from nodesmith.model.storage import VolumeAttachment

MOST_NAMED: Final = 5
STUCK_AFTER: Final = timedelta(minutes=10)
"""A node that has been leaving for so long although nothing about it changes is told of in the log."""


@dataclass(frozen=True, slots=True)
class Blocker:
    """One thing that holds a node, and why."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name} ({self.why})"


def pod_blockers(pods: Iterable[Pod], guards: Guards, now: datetime) -> tuple[Blocker, ...]:
    """The pods that would not go if a drain asked them now; pods that merely have not had their turn are none."""
    found = ((pod, _why(pod, guards, now)) for pod in pods if is_waited_for(pod, now))
    return tuple(sorted((Blocker(f"pod {pod.key}", why) for pod, why in found if why), key=lambda each: each.name))


def volume_blockers(attachments: Iterable[VolumeAttachment]) -> tuple[Blocker, ...]:
    """The volumes that are still attached."""
    return tuple(Blocker(f"volume {each.volume_name}", f"{each.meta.name} is still attached") for each in attachments)


def named(blockers: Sequence[Blocker]) -> str:
    """The blockers in one line; empty where there is none."""
    text = ", ".join(str(each) for each in blockers[:MOST_NAMED])
    more = len(blockers) - MOST_NAMED
    return f"{text} and {more} more" if more > 0 else text


def _why(pod: Pod, guards: Guards, now: datetime) -> str:
    if pod.meta.deleted_at is not None:
        return "was to be gone by now" if now > pod.meta.deleted_at else ""
    if is_protected(pod, now):
        return f"annotated {DO_NOT_DISRUPT}"
    over = guards.over(pod)
    if len(over) > 1:
        return f"several PodDisruptionBudgets select it: {' '.join(each.meta.name for each in over)}"
    if over and prevents(over[0], pod):
        return f"PodDisruptionBudget {over[0].meta.name} lets no pod go"
    return ""
