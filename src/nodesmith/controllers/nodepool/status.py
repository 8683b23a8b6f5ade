"""Everything that a NodePool's status and annotations say, written by one hand (spec 1.2, 1.2.1, 1.2.2, 1.2.4, 6)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.api.kinds import NODE_POOL
from nodesmith.api.meta import conditions_to_json
from nodesmith.controllers.controller import DONE, Again, Outcome
from nodesmith.controllers.nodepool.registrations import RegistrationHealth
from nodesmith.controllers.shell import Shell, is_managed
from nodesmith.decide.lifecycle.conditions import NODE_REGISTRATION_HEALTHY, POOL_DEPENDENTS, Change, changed
from nodesmith.decide.lifecycle.pool import (
    claim_hash_annotations,
    hash_annotations,
    node_class_readiness,
    usage,
    usage_to_json,
    validation,
)
from nodesmith.decide.lifecycle.validation import pool_faults
from nodesmith.model.labels import NODEPOOL_HASH_VERSION, NODEPOOL_HASH_VERSION_VALUE
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.model.resources import Resources

COUNT_WITHIN: Final = timedelta(seconds=5)
"""How soon a change of the pool's nodes shows in its status."""

LOOK_AGAIN: Final = timedelta(minutes=1)


class NodePoolStatus:
    """Keeps NodePools' status true."""

    def __init__(self, shell: Shell, health: RegistrationHealth) -> None:
        self._shell = shell
        self._health = health
        self._usage: dict[str, Resources] = {}
        self._said: dict[str, tuple[NodePool, EC2NodeClass | None, int]] = {}
        """By name: the pool and the NodeClass whose status was found true, and in which generation of the store."""

    async def reconcile(self, name: str) -> Outcome:
        """The pool's annotations, conditions and counts say what is true now.

        Raises:
            Conflict: when the pool has changed meanwhile.
        """
        pool = self._shell.store.get(NodePool, name)
        if pool is None or not is_managed(pool):
            self._said.pop(name, None)
            return DONE
        pool = await self._hash(pool)
        node_class = self._shell.store.get(EC2NodeClass, pool.node_class.name)
        seen = (pool, node_class, self._shell.store.generation(self._shell.now()))
        if not self._is_said(seen):
            await self._status(pool, node_class)
            self._said[name] = seen
        return Again(LOOK_AGAIN)

    def _is_said(self, seen: tuple[NodePool, EC2NodeClass | None, int]) -> bool:
        """Whether the status was true when last looked at, and nothing has changed since."""
        pool, node_class, generation = seen
        before = self._said.get(pool.name)
        return (
            before is not None
            and before[0] is pool
            and before[1] is node_class
            and before[2] == generation
            and self._health.to_write(pool) is None
        )

    async def _hash(self, pool: NodePool) -> NodePool:
        """The pool's hash is on it; claims that carry a hash of another version are brought along first."""
        if pool.meta.annotations.get(NODEPOOL_HASH_VERSION) != NODEPOOL_HASH_VERSION_VALUE:
            for claim in self._shell.store.all(NodeClaim):
                if claim.pool_name == pool.name:
                    await self._shell.claims.set_metadata(claim, annotations=dict(claim_hash_annotations(claim, pool)))
        annotations = hash_annotations(pool)
        if not annotations:
            return pool
        patch = {"metadata": {"annotations": dict(annotations)}}
        return await self._shell.writer.patch(NODE_POOL, pool, patch, is_locked=False)

    async def _status(self, pool: NodePool, node_class: EC2NodeClass | None) -> None:
        changes: list[Change] = [validation(pool_faults(pool)), node_class_readiness(node_class)]
        health = self._registration_health(pool, node_class)
        if health is not None:
            changes.append(health)
        now = self._shell.now().replace(microsecond=0)
        conditions = changed(pool.conditions, pool.meta, changes, dependents=POOL_DEPENDENTS, now=now)
        status: dict[str, Any] = {}
        if conditions != pool.conditions:
            status["conditions"] = conditions_to_json(conditions)
        if node_class is not None and node_class.meta.generation != pool.node_class_observed_generation:
            status["nodeClassObservedGeneration"] = node_class.meta.generation
        amounts = usage(pool.name, self._shell.store.snapshot(now).nodes)
        before = self._usage.get(pool.meta.uid)
        if amounts != before:
            dropped = dict.fromkeys((before or {}).keys() - amounts.keys())
            status |= {"resources": {**dropped, **usage_to_json(amounts)}, "nodes": amounts["nodes"]}
        if status:
            await self._shell.writer.patch(NODE_POOL, pool, {"status": status}, subresource="status")
        self._usage[pool.meta.uid] = amounts
        if health is not None:
            self._health.written(pool, health)
        self._gauges(pool, amounts)

    def _registration_health(self, pool: NodePool, node_class: EC2NodeClass | None) -> Change | None:
        present = pool.conditions.get(NODE_REGISTRATION_HEALTHY)
        is_new_class = node_class is not None and node_class.meta.generation != pool.node_class_observed_generation
        if present is None or is_new_class or present.observed_generation not in {0, pool.meta.generation}:
            return self._health.forget(pool)
        return self._health.to_write(pool)

    def _gauges(self, pool: NodePool, amounts: Resources) -> None:
        for name in amounts:
            self._shell.metrics.set("nodepools_usage", _number(name, amounts), resource_type=name, nodepool=pool.name)
        for name in pool.limits:
            limit = _number(name, pool.limits)
            self._shell.metrics.set("nodepools_limit", limit, resource_type=name, nodepool=pool.name)


def _number(name: str, amounts: Resources) -> float:
    """The amount as dashboards expect it: cores for CPU, whole units for the rest."""
    return amounts[name] / 1000 if name == "cpu" else float(amounts[name])
