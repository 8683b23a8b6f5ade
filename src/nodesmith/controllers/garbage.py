"""Claims without machines and machines without claims are cleared away (spec 4.4, 7.13)."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from nodesmith.api.kinds import NODE
from nodesmith.controllers.controller import Again, Outcome
from nodesmith.controllers.freshness import LOOK_AGAIN
from nodesmith.controllers.shell import Shell
from nodesmith.decide.lifecycle.garbage import claims_without_machine, machines_without_claim
from nodesmith.model.labels import CAPACITY_TYPE
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.ports.cloud import Machine
from nodesmith.ports.errors import NotFound

EVERY: Final = timedelta(minutes=2)
AT_FIRST_EVERY: Final = timedelta(seconds=10)
AT_FIRST_RUNS: Final = 20


class ClaimGarbage:
    """Deletes claims whose machine is gone."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    async def reconcile(self, _: str) -> Outcome:
        """No registered claim is left whose machine the cloud does not know and whose Node is not Ready.

        The claims are read before the machines: a machine that is made in between must not look like one that is gone.
        """
        if self._shell.freshness.stale():
            return Again(LOOK_AGAIN)
        claims = self._shell.store.all(NodeClaim)
        machines = await self._shell.cloud.list()
        for claim in claims_without_machine(claims, machines, self._shell.store.all(Node)):
            if await self._shell.claims.delete(claim):
                self._shell.store.mark(claim.name)
                labels = {"nodepool": claim.pool_name, "capacity_type": claim.labels.get(CAPACITY_TYPE, "")}
                self._shell.metrics.count("nodeclaims_disrupted_total", reason="garbage_collected", **labels)
                self._shell.log.info("garbage collected nodeclaim", NodeClaim=claim.name, provider_id=claim.provider_id)
        return Again(EVERY)


class MachineGarbage:
    """Terminates machines that no claim stands behind."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._runs = 0

    async def reconcile(self, _: str) -> Outcome:
        """No settled machine of this cluster is left without a claim, and none of their Nodes.

        The machines are read before the claims: a claim that shows its machine in between must not look like none.
        """
        if self._shell.freshness.stale():
            return Again(LOOK_AGAIN)
        machines = await self._shell.cloud.list()
        claims = self._shell.store.all(NodeClaim)
        for machine in machines_without_claim(machines, claims, self._shell.now()):
            await self._clear(machine)
        self._runs += 1
        return Again(AT_FIRST_EVERY if self._runs < AT_FIRST_RUNS else EVERY)

    async def _clear(self, machine: Machine) -> None:
        try:
            await self._shell.cloud.delete(machine.provider_id)
        except NotFound:
            pass
        else:
            self._shell.log.info(
                "garbage collected instance", provider_id=machine.provider_id, NodeClaim=machine.claim_name
            )
        for node in self._shell.store.nodes_with(machine.provider_id):
            if not node.meta.is_deleting:
                await self._shell.writer.delete(NODE, node)
