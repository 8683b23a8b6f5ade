"""A NodeClaim's way up: launched, registered, initialized, or given up in time (spec 4.1).

Each step reads what is there and may be done twice: a launch adopts the machine that the claim has, a registration
changes only what is missing. A claim that is being deleted goes to the finalizer instead.
"""

from __future__ import annotations

from typing import Any

from nodesmith.api.kinds import NODE
from nodesmith.controllers import tell
from nodesmith.controllers.controller import DONE, Again, Outcome
from nodesmith.controllers.freshness import LOOK_AGAIN
from nodesmith.controllers.nodeclaim.finalizer import Finalizer
from nodesmith.controllers.nodeclaim.nominations import Nominations
from nodesmith.controllers.nodepool.registrations import RegistrationHealth
from nodesmith.controllers.shell import Shell, is_managed, until
from nodesmith.decide.lifecycle.conditions import Change
from nodesmith.decide.lifecycle.deadlines import Due, Overdue, liveness
from nodesmith.decide.lifecycle.initialization import initialization, needs_initialization
from nodesmith.decide.lifecycle.launch import GivenUp, after_failure, after_launch, needs_launch
from nodesmith.decide.lifecycle.promises import is_settled, settled_at
from nodesmith.decide.lifecycle.registration import Registration, needs_registration, registration
from nodesmith.model.labels import CAPACITY_TYPE, INITIALIZED, ZONE
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import INITIALIZED as INITIALIZED_CONDITION
from nodesmith.model.nodeclaim import LAUNCHED, REGISTERED, NodeClaim
from nodesmith.ports.cloud import Machine
from nodesmith.ports.errors import PortError


class Lifecycle:
    """Brings claims up."""

    def __init__(
        self, shell: Shell, finalizer: Finalizer, health: RegistrationHealth, nominations: Nominations
    ) -> None:
        self._shell = shell
        self._nominations = nominations
        self._finalizer = finalizer
        self._health = health

    async def reconcile(self, name: str) -> Outcome:
        """The claim is one step further.

        Raises:
            PortError: when the launch failed in a way that may pass; the claim says why.
        """
        claim = self._shell.store.get(NodeClaim, name)
        if claim is None or not is_managed(claim):
            return DONE
        if claim.meta.is_deleting:
            await self._nominations.take_back(claim)
            return await self._finalizer.reconcile(claim)
        claim = await self._shell.claims.add_finalizer(claim)
        failure: PortError | None = None
        if needs_launch(claim):
            launched, failure = await self._try_launch(claim)
            if launched is None:
                return DONE
            claim = launched
        claim = await self._join(claim)
        await self._keep_nominated(claim)
        outcome = await self._check_liveness(claim)
        if failure is not None and outcome is not DONE:
            raise failure
        return outcome

    async def _try_launch(self, claim: NodeClaim) -> tuple[NodeClaim | None, PortError | None]:
        """The claim launched, or with the reason why not; None when it was given up."""
        try:
            machine = await self._shell.cloud.create(claim)
        except PortError as error:
            return await self._postpone(claim, error), error
        return await self._launched(claim, machine), None

    async def _launched(self, claim: NodeClaim, machine: Machine) -> NodeClaim:
        """The claim says which machine it has."""
        outcome = after_launch(claim, machine)
        claim = await self._shell.claims.set_metadata(claim, labels=outcome.labels, annotations=outcome.annotations)
        claim = await self._shell.claims.set_status(claim, outcome.changes, outcome.status)
        self._shell.log.info(
            "launched nodeclaim",
            NodeClaim=claim.name,
            provider_id=claim.provider_id,
            instance_type=machine.instance_type,
            zone=machine.zone,
            capacity_type=machine.capacity_type,
        )
        return claim

    async def _postpone(self, claim: NodeClaim, error: PortError) -> NodeClaim | None:
        """The claim says why it has no machine, or is on its way out (None)."""
        outcome = after_failure(error)
        if isinstance(outcome, GivenUp):
            if outcome.is_told:
                self._shell.events.publish(tell.insufficient_capacity(claim, outcome.message))
            self._shell.log.info("gave up on nodeclaim", NodeClaim=claim.name, reason=outcome.reason, error=str(error))
            await self._delete(claim, outcome.reason)
            return None
        return await self._shell.claims.set_status(claim, outcome.changes)

    async def _join(self, claim: NodeClaim) -> NodeClaim:
        """The claim's Node is taken over and, once fit, opened for pods, as far as it has come."""
        if not claim.has(LAUNCHED):
            return claim
        changes: list[Change] = []
        fields: dict[str, Any] = {}
        if needs_registration(claim):
            step = await self._open(claim)
            changes.extend(step.changes)
            if step.is_complete and step.node is not None:
                fields["nodeName"] = step.node.name
        if changes:
            claim = await self._shell.claims.set_status(claim, changes, fields)
        if any(change.type == REGISTERED and change.status == "True" for change in changes):
            self._registered(claim)
        if needs_initialization(claim):
            claim = await self._initialize(claim)
        return claim

    async def _open(self, claim: NodeClaim) -> Registration:
        """The claim's Node, if it has come, is taken over and open, and its pods carry its name."""
        if not self._shell.store.nodes_with(claim.provider_id):
            return registration(claim, ())
        async with self._nominations.turn():
            for node in self._shell.store.nodes_with(claim.provider_id):
                await self._nominations.give(claim, node)
            step = registration(claim, self._shell.store.nodes_with(claim.provider_id))
            await self._take_over(claim, step)
        return step

    async def _take_over(self, claim: NodeClaim, step: Registration) -> None:
        if step.lacks_taint:
            self._shell.events.publish(tell.unregistered_taint_missing(claim))
        if step.node is not None and step.patch is not None:
            await self._shell.writer.patch(NODE, step.node, step.patch)

    def _registered(self, claim: NodeClaim) -> None:
        labels = {"nodepool": claim.pool_name, "zone": claim.labels.get(ZONE, "")}
        self._shell.metrics.count("nodes_created_total", **labels)
        self._shell.log.info("registered nodeclaim", NodeClaim=claim.name, Node=claim.node_name)
        self._health.record(claim, succeeded=True)

    async def _initialize(self, claim: NodeClaim) -> NodeClaim:
        nodes = self._shell.store.nodes_with(claim.provider_id)
        node: Node | None = nodes[0] if len(nodes) == 1 else None
        change = initialization(claim, node)
        if node is not None and change.status == "True" and node.meta.labels.get(INITIALIZED) != "true":
            patch = {"metadata": {"labels": {INITIALIZED: "true"}}}
            await self._shell.writer.patch(NODE, node, patch, is_locked=False)
        claim = await self._shell.claims.set_status(claim, (change,))
        if claim.has(INITIALIZED_CONDITION):
            self._shell.log.info("initialized nodeclaim", NodeClaim=claim.name, Node=claim.node_name)
        return claim

    async def _keep_nominated(self, claim: NodeClaim) -> None:
        """Pods that wait for the node carry its name until it is settled."""
        if not claim.has(REGISTERED):
            return
        if is_settled(claim, self._shell.now()):
            await self._nominations.take_back(claim)
        elif node := self._shell.store.get(Node, claim.node_name):
            await self._nominations.give(claim, node)

    async def _check_liveness(self, claim: NodeClaim) -> Outcome:
        now = self._shell.now()
        match liveness(claim, now):
            case Overdue() if self._shell.freshness.stale():
                return Again(LOOK_AGAIN)  # its Node may have joined, and nobody heard of it
            case Overdue(reason=reason):
                self._health.record(claim, succeeded=False)
                self._shell.log.warning("nodeclaim did not come up in time", NodeClaim=claim.name, reason=reason)
                await self._delete(claim, reason)
                return DONE
            case Due(at=at):
                return Again(until(at, now))
            case _:
                settled = settled_at(claim)
                return DONE if settled is None or settled <= now else Again(until(settled, now))

    async def _delete(self, claim: NodeClaim, reason: str) -> None:
        if await self._shell.claims.delete(claim):
            self._shell.store.mark(claim.name)
            labels = {"nodepool": claim.pool_name, "capacity_type": claim.labels.get(CAPACITY_TYPE, "")}
            self._shell.metrics.count("nodeclaims_disrupted_total", reason=reason, **labels)
