"""How often consolidation has moved each pod of late, and which pods have had enough of it for now.

The one thing to know: a pod that is moved is made anew under another name, so the record goes over to its successor,
the next pod of the same controller. It stands on the NodeClaim of the node on which the successor runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from nodesmith.api.meta import format_time, parse_time
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.pod import Pod

MOVED_HERE: Final = "nodesmith.dev/moved-here"
"""NodeClaim annotation: pods that consolidation moved to the node, as `{"NAMESPACE/NAME": [TIME, ...]}`."""

Moves = Mapping[str, tuple[datetime, ...]]
"""The times at which pods were moved, by key, the earliest first."""


def moves_of(claim: NodeClaim) -> Moves:
    """What the claim says of the pods on its node; nothing where that cannot be read."""
    text = claim.meta.annotations.get(MOVED_HERE)
    if text is None:
        return {}
    try:
        raw = json.loads(text)
        return {str(key): tuple(filter(None, map(parse_time, times))) for key, times in raw.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def moves_text(moves: Moves, since: datetime) -> str | None:
    """The annotation's text with the moves since then; None where there are none."""
    kept = {key: [format_time(at) for at in times if at > since] for key, times in moves.items()}
    stated = {key: times for key, times in sorted(kept.items()) if times}
    return json.dumps(stated, separators=(",", ":")) if stated else None


def weary(claim: NodeClaim, pods: Iterable[Pod], *, since: datetime, most: int) -> Pod | None:
    """The first of the pods that was moved so often since then that it is not to be moved again."""
    moves = moves_of(claim)
    if not moves:
        return None
    return next((pod for pod in pods if sum(at > since for at in moves.get(pod.key, ())) >= most), None)
