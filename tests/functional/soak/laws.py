"""What must hold at every step, whatever goes wrong; a broken law is a `Broken` with the story so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from nodesmith.adapters.memory.cluster import MemoryCluster
from nodesmith.adapters.memory.history import Occurrence
from nodesmith.api.kind import Kind
from nodesmith.api.kinds import NODE_CLAIM, NODE_POOL, POD
from nodesmith.decide.disrupt.budgets import effective_budget
from nodesmith.decide.disrupt.policy import REPLACES_FOR
from nodesmith.decide.lifecycle.command_record import CommandRecord, read
from nodesmith.decide.lifecycle.termination import deadline_of
from nodesmith.model.nodeclaim import (
    INITIALIZED,
    INSTANCE_TERMINATING,
    LAUNCHED,
    REGISTERED,
    NodeClaim,
)
from nodesmith.model.nodepool import NodePool
from tests.functional.controllers.cutting import CutCluster, Scissors
from tests.functional.controllers.smallworld import SmallWorld

ORPHAN_LIMIT = timedelta(minutes=5)


class Broken(AssertionError):
    """A law was broken."""


class Laws:
    """Watches a world."""

    def __init__(self, world: SmallWorld) -> None:
        self._world = world
        self._orphan_since: dict[str, datetime] = {}
        self.is_calm = True
        """Whether no fault is on and controllers run: only then does the orphans' time count."""
        self.excused: set[str] = set()
        """Claims and nodes that users deleted, and claims whose machine was taken."""
        self.commands: Counter[str] = Counter()
        world.server.listen(self._changed)

    def fail(self, law: str) -> None:
        """The law is broken."""
        raise Broken(f"{law}\n{self._world.describe()}")

    # --- looked at from time to time ---

    def look(self) -> None:
        """No claim has two machines, and no machine is without a claim for long."""
        world, now = self._world, self._world.clock.now()
        twice = [uid for uid, count in Counter(e.claim.meta.uid for e in world.machines()).items() if count > 1]
        if twice:
            self.fail(f"a claim has two machines: {twice}")
        claims = world.claims()
        owned = {claim.provider_id for claim in claims} | {""}
        names = {claim.name for claim in claims if not claim.provider_id}
        orphans = {
            each.machine.provider_id
            for each in world.machines()
            if each.machine.provider_id not in owned and each.machine.claim_name not in names
        }
        if not self.is_calm:
            self._orphan_since = dict.fromkeys(self._orphan_since, now)
        for provider_id in list(self._orphan_since):
            if provider_id not in orphans:
                del self._orphan_since[provider_id]
        for provider_id in orphans:
            since = self._orphan_since.setdefault(provider_id, now)
            if now - since > ORPHAN_LIMIT:
                self.fail(f"machine {provider_id} has had no claim since {since:%H:%M:%S}")
        self._check_limits()

    def _check_limits(self) -> None:
        for pool in self.pools().values():
            if "cpu" in pool.limits:
                used = sum(
                    e.machine.capacity["cpu"] for e in self._world.machines() if e.machine.pool_name == pool.name
                )
                if used > pool.limits["cpu"] + self._leaving_cpu(pool.name):
                    self.fail(f"pool {pool.name} has {used} of {pool.limits['cpu']} milli-CPU")

    def _leaving_cpu(self, pool: str) -> int:
        """What leaves does not count against a limit (spec 6: marked nodes are left out)."""
        leaving = {
            claim.provider_id for claim in self._world.claims() if claim.meta.is_deleting or read(claim) is not None
        }
        known = {claim.provider_id for claim in self._world.claims()}
        return sum(
            e.machine.capacity["cpu"]
            for e in self._world.machines()
            if e.machine.pool_name == pool and (e.machine.provider_id in leaving or e.machine.provider_id not in known)
        )

    # --- looked at when nodesmith acts ---

    def pod_deleted(self, name: str, namespace: str) -> None:
        """We delete a pod past its budget only when its node's time runs out."""
        pod = next((pod for pod in self._world.pods() if pod.key == f"{namespace}/{name}"), None)
        if pod is None:
            return
        claim = self._claim_of_node(pod.node_name)
        deadline = deadline_of(claim)
        now = self._world.clock.now()
        if deadline is None or now < deadline - timedelta(seconds=pod.spec.termination_grace_period_s):
            self.fail(f"pod {pod.key} was deleted before its time")

    def pod_evicted(self, name: str, namespace: str) -> None:
        """We evict only from nodes that leave."""
        pod = next((pod for pod in self._world.pods() if pod.key == f"{namespace}/{name}"), None)
        node = next((node for node in self._world.nodes() if pod and node.name == pod.node_name), None)
        if node is not None and not node.meta.is_deleting:
            self.fail(f"pod {name} was evicted from {node.name}, which stays")

    def claim_deleted(self, name: str) -> None:
        """We delete a claim only for a cause."""
        claim = next((claim for claim in self._world.claims() if claim.name == name), None)
        if claim is None or claim.meta.is_deleting:
            return
        record = read(claim)
        if self._cause(claim) is not None:
            return
        if record is None:
            self.fail(f"claim {name} was deleted without a cause")
        else:
            self._check_replacements(record)

    def _check_replacements(self, record: CommandRecord) -> None:
        by_name = {claim.name: claim for claim in self._world.claims()}
        for name in record.replacements:
            replacement = by_name.get(name)
            if replacement is None or not replacement.has(INITIALIZED):
                self.fail(f"command {record.id} drains before replacement {name} is there")

    def _cause(self, claim: NodeClaim) -> str | None:
        now, age = self._world.clock.now(), self._world.clock.now() - claim.meta.created_at
        if claim.name in self.excused or claim.node_name in self.excused:
            return "user or cloud"
        if not claim.has(LAUNCHED):
            return "not launched"
        if not claim.has(REGISTERED) and age >= timedelta(minutes=15):
            return "not registered"
        if self._world.cloud.state_of(claim.provider_id) in {"shutting-down", "terminated"}:
            return "machine gone"
        if REPLACES_FOR in claim.meta.annotations and not claim.has(INITIALIZED):
            return "its command was taken back"
        if claim.expire_after is not None and now >= claim.meta.created_at + claim.expire_after:
            return "expired"
        return None

    def _claim_of_node(self, node_name: str) -> NodeClaim | None:
        node = next((node for node in self._world.nodes() if node.name == node_name), None)
        claims = self._world.claims()
        return next((claim for claim in claims if node is not None and claim.provider_id == node.provider_id), None)

    # --- looked at when the world changes ---

    def _changed(self, occurrence: Occurrence) -> None:
        if occurrence.kind.name == "NodeClaim" and occurrence.after is not None and occurrence.before is not None:
            before, after = NODE_CLAIM.decode(occurrence.before), NODE_CLAIM.decode(occurrence.after)
            record = read(after)
            if record is not None and read(before) is None:
                self.commands[record.method.value] += 1
                self._check_budget(after, record)

    def _check_budget(self, claim: NodeClaim, record: CommandRecord) -> None:
        """Nodes that leave by our own decision stay within the pool's budget; replacements do not count yet."""
        pool = self.pools().get(claim.pool_name)
        if pool is None:
            return
        own = [each for each in self._world.claims() if each.pool_name == pool.name and each.has(INITIALIZED)]
        present = [each for each in own if not each.has(INSTANCE_TERMINATING)]
        voluntary = [each for each in present if read(each) is not None or each.name == claim.name]
        total = len(present)
        allowed = effective_budget(pool, record.method.reason, total, self._world.clock.now())
        if len({each.name for each in voluntary}) > allowed:
            names = sorted(each.name for each in voluntary)
            self.fail(f"{len(names)} of {total} nodes of {pool.name} leave at once, {allowed} may: {names}")

    def pools(self) -> Mapping[str, NodePool]:
        """The NodePools."""
        table = self._world.server.history.table(NODE_POOL)
        return {key: table[key].value(NODE_POOL) for key in sorted(table)}


class LawfulCluster(CutCluster):
    """A cluster on which nodesmith's own deletions are looked at."""

    def __init__(self, inner: MemoryCluster, scissors: Scissors, laws: Laws) -> None:
        super().__init__(inner, scissors)
        self._laws = laws

    async def delete(self, kind: Kind[Any], name: str, **options: Any) -> None:
        if kind is POD:
            self._laws.pod_deleted(name, options.get("namespace", ""))
        elif kind is NODE_CLAIM:
            self._laws.claim_deleted(name)
        await super().delete(kind, name, **options)

    async def evict(self, name: str, *, namespace: str, uid: str) -> None:
        self._laws.pod_evicted(name, namespace)
        await super().evict(name, namespace=namespace, uid=uid)
