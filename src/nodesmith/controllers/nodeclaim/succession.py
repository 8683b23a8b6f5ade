"""Which pods come in the place of those that consolidation has moved, until that is written down."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from nodesmith.decide.disrupt.moves import Moves
from nodesmith.model.pod import Pod

SUCCESSION: Final = timedelta(minutes=10)
"""How long after a pod was asked to go its controller may make the next one: a StatefulSet waits for its end."""

_WHOLE_SECOND: Final = timedelta(seconds=1)
"""In which the API server tells when a pod was made."""


class Succession:
    """Pods that were moved and whose successors have not come yet, and those that have, until that is written down.

    Losing it may cost such a pod one move more.
    """

    def __init__(self) -> None:
        self._left: dict[str, list[tuple[datetime, tuple[datetime, ...]]]] = {}
        self._came: dict[str, dict[str, tuple[datetime, ...]]] = {}

    def leave(self, pod: Pod, moves: tuple[datetime, ...], *, now: datetime) -> None:
        """The pod is on its way; `moves` are its earlier ones. One without a controller is not made anew."""
        owner = _controller_of(pod)
        if owner:
            earlier = self._came.get(pod.node_name, {}).get(pod.key, moves)
            self._left.setdefault(owner, []).append((now, (*earlier, now)))

    def arrive(self, pod: Pod, *, now: datetime) -> bool:
        """Whether the pod, which was just bound, succeeds one that was moved; then it takes over its moves.

        Of pods of one controller nobody can tell which succeeds which: the earliest gone is succeeded first.
        """
        self._left = {
            owner: kept
            for owner, gone in self._left.items()
            if (kept := [each for each in gone if now - each[0] < 2 * SUCCESSION])
        }
        waiting = self._left.get(_controller_of(pod), [])
        for index, (at, moves) in enumerate(waiting):
            if -_WHOLE_SECOND <= pod.meta.created_at - at < SUCCESSION:
                del waiting[index]
                self._came.setdefault(pod.node_name, {})[pod.key] = moves
                return True
        return False

    def came_to(self, node_name: str) -> Moves:
        """The pods that came to the node, with their moves, as far as that is not written down."""
        return dict(self._came.get(node_name, {}))

    def forget(self, node_name: str, written: Moves) -> None:
        """So much is written down."""
        unwritten = {key: moves for key, moves in self.came_to(node_name).items() if written.get(key) != moves}
        self._came[node_name] = unwritten
        if not unwritten:
            self._came.pop(node_name)


def _controller_of(pod: Pod) -> str:
    return next((owner.uid for owner in pod.meta.owners if owner.controller), "")
