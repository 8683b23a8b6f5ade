"""The interruption queue: what AWS announces about machines, turned into claims that leave in time (spec 7.12).

A message is deleted only after it was acted on: a crash in between means that it is acted on again. Where the machine
runs for a while yet, what its pods need is asked for before its claim, and with it the drain, begins to go. From the
announcement on nothing is planned onto the machine, even while its claim cannot be deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from nodesmith.controllers import tell
from nodesmith.controllers.shell import Shell
from nodesmith.model.labels import CAPACITY_TYPE, INSTANCE_TYPE, RESERVATION_ID, RESERVED, SPOT, ZONE
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.ports.errors import PortError
from nodesmith.ports.events import NORMAL, WARNING
from nodesmith.ports.queue import Interruption, InterruptionKind, Queue
from nodesmith.state.snapshot import StateNode

PAUSE_AFTER_ERROR: Final = timedelta(seconds=5)

_TOLD: Final = {
    InterruptionKind.SPOT_INTERRUPTED: ("SpotInterrupted", WARNING, "Spot interruption warning was triggered"),
    InterruptionKind.REBALANCE_RECOMMENDATION: (
        "SpotRebalanceRecommendation",
        NORMAL,
        "Spot rebalance recommendation was triggered",
    ),
    InterruptionKind.INSTANCE_STOPPED: ("InstanceStopping", WARNING, "Instance is stopping"),
    InterruptionKind.INSTANCE_TERMINATED: ("InstanceTerminating", WARNING, "Instance is terminating"),
    InterruptionKind.SCHEDULED_CHANGE: ("InstanceUnhealthy", WARNING, "An unhealthy warning was triggered"),
    InterruptionKind.CAPACITY_RESERVATION_INTERRUPTED: (
        "CapacityReservationInstanceInterrupted",
        WARNING,
        "Capacity reservation interruption warning was triggered",
    ),
}
_RUNS_ON: Final = frozenset(
    {
        InterruptionKind.SPOT_INTERRUPTED,
        InterruptionKind.CAPACITY_RESERVATION_INTERRUPTED,
        InterruptionKind.SCHEDULED_CHANGE,
    }
)
"""What is announced, and not yet so: there is time to ask for another machine first."""

_NOT_DELETING: Final = frozenset({InterruptionKind.REBALANCE_RECOMMENDATION, InterruptionKind.NO_OP})


class InterruptionService:
    """Reads the queue for as long as it runs."""

    def __init__(
        self, shell: Shell, queue: Queue, *, replan: Callable[[str], None], replanned: Callable[[str], Awaitable[None]]
    ) -> None:
        """`replan` has what a leaving machine's pods need asked for; `replanned` waits until it was."""
        self._shell = shell
        self._queue = queue
        self._replan = replan
        self._replanned = replanned

    async def run(self) -> None:
        """Work until cancelled; an error of the queue is told, and waited out.

        Messages are received while earlier ones are still being acted on: many machines may be taken back at once.
        """
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    messages = await self._queue.receive()
                except PortError as error:
                    self._tell_failure(error)
                    await self._shell.clock.sleep(PAUSE_AFTER_ERROR)
                    continue
                if messages:
                    group.create_task(self.handle(messages), name="interruptions")

    async def handle(self, messages: Sequence[Interruption]) -> None:
        """The messages have been acted on side by side, and are deleted; those that could not be will come again."""
        handled: list[str] = []
        async with asyncio.TaskGroup() as group:
            for message in messages:
                group.create_task(self._handle(message, handled), name=f"interruption-{message.kind}")
        if not handled:
            return
        try:
            await self._queue.delete(handled)
        except PortError as error:
            self._tell_failure(error)
        else:
            self._shell.metrics.count("interruption_deleted_messages_total", len(handled))

    def _tell_failure(self, error: PortError) -> None:
        self._shell.log.warning("interruption queue failed", error=f"{type(error).__name__}: {error}")

    async def _handle(self, message: Interruption, handled: list[str]) -> None:
        """The message has been acted on, or will come again."""
        self._shell.metrics.count("interruption_received_messages_total", message_type=message.kind.value)
        if message.sent_at is not None:
            took = (self._shell.now() - message.sent_at).total_seconds()
            self._shell.metrics.observe("interruption_message_queue_duration_seconds", took)
        try:
            for claim in self._claims_of(message.instance_ids):
                await self._act(message.kind, claim)
        except PortError as error:
            self._shell.log.warning("interruption will be handled again", kind=message.kind.value, error=str(error))
            return
        handled.append(message.receipt)

    def _claims_of(self, instance_ids: tuple[str, ...]) -> list[NodeClaim]:
        wanted = set(instance_ids)
        return [
            claim
            for claim in self._shell.store.all(NodeClaim)
            if claim.provider_id and claim.provider_id.rsplit("/", 1)[-1] in wanted
        ]

    async def _act(self, kind: InterruptionKind, claim: NodeClaim) -> None:
        self._tell(kind, claim)
        self._mark_offering(kind, claim)
        if kind in _NOT_DELETING or claim.meta.is_deleting:
            return
        # The machine goes whether or not the API server hears of it now: nothing is planned onto it meanwhile.
        self._shell.store.doom(claim.name, now=self._shell.now())
        if kind in _RUNS_ON:
            await self._replanned(claim.meta.uid)
        if await self._shell.claims.delete(claim):
            self._replan(claim.meta.uid)
            self._tell_deletion(kind, claim)

    def _tell_deletion(self, kind: InterruptionKind, claim: NodeClaim) -> None:
        labels = {"nodepool": claim.pool_name, "capacity_type": claim.labels.get(CAPACITY_TYPE, "")}
        self._shell.metrics.count("nodeclaims_disrupted_total", reason=kind.value, **labels)
        self._shell.log.info("deleting interrupted nodeclaim", NodeClaim=claim.name, kind=kind.value)
        for event in tell.on_both(
            "TerminatingOnInterruption",
            self._state_of(claim),
            node="Interruption triggered termination for the Node",
            claim="Interruption triggered termination for the NodeClaim",
            type_=WARNING,
        ):
            self._shell.events.publish(event)

    def _mark_offering(self, kind: InterruptionKind, claim: NodeClaim) -> None:
        """What the message is about is not to be had, whatever the claim's own terms are."""
        labels = claim.labels
        if ZONE not in labels or INSTANCE_TYPE not in labels:
            return
        mark = partial(self._shell.cloud.mark_unavailable, instance_type=labels[INSTANCE_TYPE], zone=labels[ZONE])
        if kind is InterruptionKind.SPOT_INTERRUPTED:
            mark(capacity_type=SPOT)
        elif kind is InterruptionKind.CAPACITY_RESERVATION_INTERRUPTED and RESERVATION_ID in labels:
            mark(capacity_type=RESERVED, reservation_id=labels[RESERVATION_ID])

    def _tell(self, kind: InterruptionKind, claim: NodeClaim) -> None:
        told = _TOLD.get(kind)
        if told is not None:
            reason, type_, message = told
            for event in tell.on_both(reason, self._state_of(claim), node=message, type_=type_):
                self._shell.events.publish(event)

    def _state_of(self, claim: NodeClaim) -> StateNode:
        nodes = self._shell.store.nodes_with(claim.provider_id)
        return StateNode(nodes[0] if nodes else None, claim)
