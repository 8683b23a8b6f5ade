"""What EC2 says of instances' health: sick ones are replaced although no queue announced it (spec 7.12)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final, Protocol

from nodesmith.api.meta import format_time, parse_time
from nodesmith.controllers import tell
from nodesmith.controllers.controller import DONE, Again, Outcome
from nodesmith.controllers.shell import Shell
from nodesmith.model.labels import CAPACITY_TYPE, TERMINATION_TIMESTAMP
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.ports.errors import Refused
from nodesmith.ports.events import WARNING
from nodesmith.state.snapshot import StateNode

EVERY: Final = timedelta(minutes=1)
_REASONS: Final = {
    "InstanceStatus": "instance_status",
    "SystemStatus": "system_status",
    "EventStatus": "event_status",
}
"""Why claims went, as upstream's metric names it, by category."""


class Sick(Protocol):
    """An instance that is to be replaced; `is_forceful`: at once, its pods are not served anyway."""

    @property
    def instance_id(self) -> str:
        """Which."""
        ...

    @property
    def category(self) -> str:
        """What is wrong, as upstream's metric label."""
        ...

    @property
    def is_forceful(self) -> bool:
        """Whether draining it in order is pointless."""
        ...

    @property
    def detail(self) -> str:
        """What is wrong, as a sentence."""
        ...


AskForSick = Callable[[], Awaitable[Sequence[Sick]]]


class InstanceStatus:
    """Asks, and lets claims of sick instances go."""

    def __init__(self, shell: Shell, ask: AskForSick) -> None:
        self._shell = shell
        self._ask = ask
        self._counted: set[tuple[str, str]] = set()

    async def reconcile(self, _: str) -> Outcome:
        """No claim of a sick instance stays. Where we may not ask, nothing is asked again before a restart."""
        try:
            sick = await self._ask()
        except Refused as error:
            told = "instance status is not watched: asking is not allowed"
            self._shell.log.error(told, error=str(error))  # noqa: TRY400 - AWS' answer says it all; a trace would not help
            return DONE
        found = {(each.instance_id, str(each.category)) for each in sick}
        for _instance, category in sorted(found - self._counted):
            self._shell.metrics.count("interruption_instance_status_unhealthy_total", category=category)
        self._counted = found
        by_instance = {
            claim.provider_id.rsplit("/", 1)[-1]: claim
            for claim in self._shell.store.all(NodeClaim)
            if claim.provider_id and not claim.meta.is_deleting
        }
        for each in sick:
            claim = by_instance.pop(each.instance_id, None)
            if claim is not None:
                await self._let_go(claim, each)
        return Again(EVERY)

    async def _let_go(self, claim: NodeClaim, sick: Sick) -> None:
        nodes = self._shell.store.nodes_with(claim.provider_id)
        state = StateNode(nodes[0] if nodes else None, claim)
        for event in tell.on_both("InstanceUnhealthy", state, node=sick.detail, type_=WARNING):
            self._shell.events.publish(event)
        if sick.is_forceful:
            now = self._shell.now()
            present = parse_time(claim.meta.annotations.get(TERMINATION_TIMESTAMP))
            if present is None or present > now:
                annotations = {TERMINATION_TIMESTAMP: format_time(now)}
                claim = await self._shell.claims.set_metadata(claim, annotations=annotations)
        if await self._shell.claims.delete(claim):
            self._shell.store.mark(claim.name)
            labels = {"nodepool": claim.pool_name, "capacity_type": claim.labels.get(CAPACITY_TYPE, "")}
            self._shell.metrics.count("nodeclaims_disrupted_total", reason=_REASONS[str(sick.category)], **labels)
            self._shell.log.info("deleting nodeclaim of a sick instance", NodeClaim=claim.name, detail=sick.detail)
