"""Static pools keep a fixed number of nodes (spec 5.8); behind the gate StaticCapacity."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from nodesmith.controllers.controller import DONE, Again, Outcome
from nodesmith.controllers.decisions import decision_id
from nodesmith.controllers.provisioning.catalogs import may_disrupt
from nodesmith.controllers.provisioning.naming import create_named
from nodesmith.controllers.shell import Shell, is_managed
from nodesmith.decide.lifecycle.newclaim import claim_from_template
from nodesmith.decide.lifecycle.static_pool import shortfall, surplus
from nodesmith.model.labels import CAPACITY_TYPE
from nodesmith.model.nodepool import NodePool

LOOK_AGAIN: Final = timedelta(minutes=1)


class StaticPools:
    """Makes what a static pool lacks, and lets go of what is too much."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    async def reconcile(self, name: str) -> Outcome:
        """The pool has as many claims as it has replicas."""
        pool = self._shell.store.get(NodePool, name)
        if pool is None or not pool.is_static or not is_managed(pool) or not self._shell.store.is_listed:
            return DONE
        now = self._shell.now()
        nodes = self._shell.store.snapshot(now).nodes
        if may_disrupt(pool):
            for _ in range(shortfall(pool, nodes)):
                await self._create(pool)
        for claim in () if self._shell.freshness.stale() else surplus(pool, nodes, now):
            if await self._shell.claims.delete(claim):
                self._shell.store.mark(claim.name)
                labels = {"nodepool": pool.name, "capacity_type": claim.labels.get(CAPACITY_TYPE, "")}
                self._shell.metrics.count("nodeclaims_disrupted_total", reason="static_scale_down", **labels)
        return Again(LOOK_AGAIN)

    async def _create(self, pool: NodePool) -> None:
        decision = decision_id(self._shell.rng.getrandbits(64))
        claim = await create_named(
            self._shell, pool.name, lambda name: claim_from_template(pool, name=name, decision_id=decision)
        )
        self._shell.metrics.count(
            "nodeclaims_created_total", reason="provisioned", nodepool=pool.name, min_values_relaxed="false"
        )
        self._shell.log.info("created nodeclaim", NodeClaim=claim.name, NodePool=pool.name, decision=decision)
