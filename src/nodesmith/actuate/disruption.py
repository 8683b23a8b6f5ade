"""What a disruption does to the nodes that are to leave, and how it is taken back: both may be done twice."""

from __future__ import annotations

from nodesmith.actuate.claims import Claims
from nodesmith.actuate.writer import Writer
from nodesmith.api.kinds import NODE
from nodesmith.decide.lifecycle.command_record import COMMAND, CommandRecord
from nodesmith.decide.lifecycle.conditions import gone, holds
from nodesmith.decide.lifecycle.termination import disruption_patch, restoring_patch
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import DISRUPTION_REASON, NodeClaim


class Disruptions:
    """Marks nodes as about to leave."""

    def __init__(self, writer: Writer, claims: Claims) -> None:
        self._writer = writer
        self._claims = claims

    async def write_down(self, claim: NodeClaim, record: CommandRecord) -> NodeClaim:
        """The claim carries the command."""
        return await self._claims.set_metadata(claim, annotations={COMMAND: record.to_text()})

    async def close(self, node: Node, claim: NodeClaim, record: CommandRecord) -> None:
        """No new pod comes to the node, and its claim says why."""
        patch = disruption_patch(node, is_leaving=False)
        if patch is not None:
            await self._writer.patch(NODE, node, patch)
        await self._claims.set_status(claim, (holds(DISRUPTION_REASON, reason=record.reason, message=record.reason),))

    async def reopen(self, node: Node | None, claim: NodeClaim) -> None:
        """Nothing of a disruption is left on the node or its claim."""
        patch = restoring_patch(node) if node is not None else None
        if node is not None and patch is not None:
            await self._writer.patch(NODE, node, patch)
        if claim.condition(DISRUPTION_REASON) is not None:
            claim = await self._claims.set_status(claim, (gone(DISRUPTION_REASON),))
        await self._claims.set_metadata(claim, annotations={COMMAND: None})
