"""When pods last came to or left a node (spec 4.5): what `consolidateAfter` counts from."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.pod import Pod

SHORTEST_INTERVAL: Final = timedelta(seconds=10)


def counts(before: Pod | None, after: Pod | None) -> str | None:
    """The node at which the change is a pod event, or None: newly bound, at its end, asked to go, or gone."""
    pod = after or before
    if pod is None or not pod.node_name or not _is_news(before, after) or pod.is_owned_by_daemonset:
        return None
    return pod.node_name


def _is_news(before: Pod | None, after: Pod | None) -> bool:
    if after is None or before is None or not before.node_name:
        return True
    ended = after.is_terminal and not before.is_terminal
    leaving = after.meta.is_deleting and not before.meta.is_deleting
    return ended or leaving


def is_too_soon(claim: NodeClaim, now: datetime) -> bool:
    """Whether the last event was written so shortly ago that another one adds nothing."""
    return claim.last_pod_event_at is not None and now - claim.last_pod_event_at < SHORTEST_INTERVAL
