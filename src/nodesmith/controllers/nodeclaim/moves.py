"""Writes down which pods consolidation has moved, on the claims of the nodes that they came to; keys are Node names."""

from __future__ import annotations

from nodesmith.controllers.controller import DONE, Controller, Outcome
from nodesmith.controllers.nodeclaim.succession import Succession
from nodesmith.controllers.shell import Shell
from nodesmith.decide.disrupt.moves import MOVED_HERE, moves_of, moves_text
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import DISRUPTION_REASON, NodeClaim
from nodesmith.model.nodepool import DisruptionReason
from nodesmith.model.pod import Pod


class PodMoves:
    """Follows pods from the nodes that consolidation takes to those where they run again."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._succession = Succession()
        self.controller: Controller[str] = Controller(
            "nodeclaim.podmoves", self._reconcile, shell.telemetry, shell.rng, workers=shell.options.workers
        )

    def follow(self, before: Pod | None, after: Pod | None) -> str | None:
        """Take note of a pod that goes or comes; the Node to whose claim it is to be written, if it was moved there."""
        if before is not None and _begins_to_go(before, after) and before.is_reschedulable:
            claim = self._claim_on(before.node_name)
            if claim is not None and _leaves_by_consolidation(claim):
                self._succession.leave(before, moves_of(claim).get(before.key, ()), now=self._shell.now())
        elif after is not None and after.node_name and (before is None or not before.node_name):
            return after.node_name if self._succession.arrive(after, now=self._shell.now()) else None
        return None

    async def _reconcile(self, node_name: str) -> Outcome:
        """The claim of the Node says when its pods were moved, as long as that counts.

        Raises:
            PortError: when it could not be written.
        """
        came, claim = self._succession.came_to(node_name), self._claim_on(node_name)
        if came and claim is not None and not claim.meta.is_deleting:
            here = {pod.key for pod in self._shell.store.pods_on(node_name)}
            moves = {key: times for key, times in {**moves_of(claim), **came}.items() if key in here}
            text = moves_text(moves, self._shell.now() - self._shell.options.policy.rest)
            await self._shell.claims.set_metadata(claim, annotations={MOVED_HERE: text})
        self._succession.forget(node_name, came)
        return DONE

    def _claim_on(self, node_name: str) -> NodeClaim | None:
        """The claim of the Node, where it has just one."""
        node = self._shell.store.get(Node, node_name) if node_name else None
        claims = self._shell.store.claims_with(node.provider_id) if node is not None and node.provider_id else ()
        return claims[0] if len(claims) == 1 else None


def _begins_to_go(before: Pod, after: Pod | None) -> bool:
    return not before.meta.is_deleting and (after is None or after.meta.is_deleting)


def _leaves_by_consolidation(claim: NodeClaim) -> bool:
    why = claim.condition(DISRUPTION_REASON)
    is_ours = why is not None and why.is_true and why.reason == DisruptionReason.UNDERUTILIZED.value
    return is_ours and claim.meta.is_deleting
