"""What must hold at every step, whatever goes wrong; a broken law is a `Broken` with the story so far.

`seen` counts how often each law had something to judge: a law that never had is no law.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from traceback import format_exception

from nodesmith.adapters.memory.history import Occurrence
from nodesmith.api.kind import Manifest
from nodesmith.api.kinds import NODE_CLAIM, NODE_POOL, POD, POD_DISRUPTION_BUDGET
from nodesmith.decide.disrupt.budgets import effective_budget
from nodesmith.decide.disrupt.policy import REPLACES_FOR
from nodesmith.decide.lifecycle.command_record import COMMAND, CommandRecord, read
from nodesmith.decide.lifecycle.termination import deadline_of
from nodesmith.model.money import UsdPerHour
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import INITIALIZED, INSTANCE_TERMINATING, LAUNCHED, REGISTERED, NodeClaim
from nodesmith.model.nodepool import DisruptionReason, NodePool
from nodesmith.model.pod import Pod
from nodesmith.model.taints import DISRUPTED
from tests.functional.controllers.smallworld import SmallWorld

ORPHAN_LIMIT = timedelta(minutes=5)
NEWS_TAKES = timedelta(seconds=90)
"""What changed so short a time ago a decision may not have known: news lag, and validating takes a while."""


class Broken(AssertionError):
    """A law was broken."""


class Laws:
    """Watches a world."""

    def __init__(self, world: SmallWorld) -> None:
        self._world = world
        self._orphan_since: dict[str, datetime] = {}
        self._cost_before: dict[str, UsdPerHour] = {}
        self._evicting: Counter[str] = Counter()
        self._seen_last: tuple[int, tuple[str, ...]] | None = None
        """What was there at the last look: where nothing is new, nothing is judged anew."""
        self.is_alive = True
        """Whether controllers run: only then does the orphans' time count."""
        self.is_hampered = False
        """Whether news are late: then a decision may rest on what is no longer so."""
        self.excused: set[str] = set()
        """Claims and nodes that users deleted, and claims whose machine was taken."""
        self.taken: set[str] = set()
        """Claims whose machine AWS has announced to take back: as good as gone, so past no limit."""
        self.commands: Counter[str] = Counter()
        self.begun: list[CommandRecord] = []
        """The commands in the order in which they began, once for each of their nodes."""
        self.seen: Counter[str] = Counter()
        self.broken: Broken | None = None
        """The first that was broken: a controller that is told of it goes on all the same."""
        world.server.listen(self._changed)

    def fail(self, law: str) -> None:
        """The law is broken: here, and at the next look."""
        error = Broken(f"{law}\n{self._world.describe()}")
        self.broken = self.broken or error
        raise error

    # --- looked at from time to time ---

    def look(self) -> None:
        """No claim has two machines, no machine is without a claim for long, no pool is past its limits."""
        if self.broken is not None:
            raise self.broken
        seen = (self._world.server.history.revision, tuple(each.machine.provider_id for each in self._world.machines()))
        if seen == self._seen_last and self.is_alive and not self._orphan_since:
            return
        self._seen_last = seen
        claims = self._world.claims()
        twice = [uid for uid, count in Counter(e.claim.meta.uid for e in self._world.machines()).items() if count > 1]
        if twice:
            self.fail(f"a claim has two machines: {twice}")
        self._check_orphans(claims)
        self._check_limits(claims)

    def _check_orphans(self, claims: Iterable[NodeClaim]) -> None:
        now = self._world.clock.now()
        owned = {claim.provider_id for claim in claims} | {""}
        names = {claim.name for claim in claims if not claim.provider_id}
        orphans = {
            each.machine.provider_id
            for each in self._world.machines()
            if each.machine.provider_id not in owned and each.machine.claim_name not in names
        }
        kept = self._orphan_since if self.is_alive else {}
        self._orphan_since = {each: kept.get(each, now) for each in orphans}
        for provider_id, since in self._orphan_since.items():
            self.seen["orphan"] += 1
            if now - since > ORPHAN_LIMIT:
                self.fail(f"machine {provider_id} has had no claim since {since:%H:%M:%S}")

    def _check_limits(self, claims: Iterable[NodeClaim]) -> None:
        known = {claim.provider_id for claim in claims}
        # What leaves does not count against a limit (spec 6: marked nodes are left out), nor does a machine that AWS
        # takes back: another is asked for at once, and deleting its claim may take more than one call.
        leaving = {
            claim.provider_id
            for claim in claims
            if claim.meta.is_deleting or read(claim) is not None or claim.name in self.taken
        }
        for pool in self.pools().values():
            if "cpu" not in pool.limits:
                continue
            used = sum(
                each.machine.capacity["cpu"]
                for each in self._world.machines()
                if each.machine.pool_name == pool.name
                and each.machine.provider_id in known
                and each.machine.provider_id not in leaving
            )
            self.seen["limit"] += used > 0
            if used > pool.limits["cpu"]:
                self.fail(f"pool {pool.name} has {used} of {pool.limits['cpu']} milli-CPU")

    # --- looked at when nodesmith acts ---

    def error_told(self, message: str, fields: Mapping[str, object]) -> None:
        """We tell of no error of our own: no exception that nobody expected, no plan that breaks a rule."""
        error = fields.get("exc_info")
        if self.broken is None:
            stack = "".join(format_exception(error)) if isinstance(error, BaseException) else ""
            told = "\n".join(f"  {name}: {value}" for name, value in fields.items() if name != "exc_info")
            self.broken = Broken(f"an error of ours: {message}\n{told}\n{stack}")

    def pod_deleted(self, key: str, uid: str) -> None:
        """We delete a pod past its budget only when its node's time runs out."""
        pod = self._pod(key, uid)
        if pod is None:
            return
        self.seen["forced"] += 1
        deadline = deadline_of(self._claim_of_node(pod.node_name))
        if deadline is None or self._world.clock.now() < deadline - timedelta(
            seconds=pod.spec.termination_grace_period_s
        ):
            self.fail(f"pod {key} was deleted before its time")

    def pod_evicted(self, key: str, uid: str) -> None:
        """We evict only from nodes that leave; what the eviction does to the pod's budget is looked at as it does."""
        pod = self._pod(key, uid)
        node = next((node for node in self._world.nodes() if pod and node.name == pod.node_name), None)
        self._evicting[key] += 1
        if node is not None:
            self.seen["eviction"] += 1
            if not node.meta.is_deleting:
                self.fail(f"pod {key} was evicted from {node.name}, which stays")

    def eviction_answered(self, key: str) -> None:
        """Whatever happens to the pod from now on is not that eviction's doing."""
        self._evicting[key] -= 1

    def machine_deleted(self, provider_id: str) -> None:
        """We take no machine away under pods that have not had their chance to move."""
        if self._world.cloud.state_of(provider_id) in {"shutting-down", "terminated"}:
            return
        names = {node.name for node in self._world.nodes() if node.provider_id == provider_id}
        claim = next((each for each in self._world.claims() if each.provider_id == provider_id), None)
        deadline = deadline_of(claim)
        self.seen["termination"] += 1
        if deadline is not None and self._world.clock.now() >= deadline:
            return
        left = [pod.key for pod in self._world.pods() if pod.node_name in names and _would_be_lost(pod)]
        if left:
            self.fail(f"machine {provider_id} was taken from under {left}")

    def claim_deleted(self, name: str) -> None:
        """We delete a claim only for a cause."""
        claim = next((claim for claim in self._world.claims() if claim.name == name), None)
        if claim is None or claim.meta.is_deleting:
            return
        self.seen["retirement"] += 1
        record = read(claim)
        if self._cause(claim) is not None:
            return
        if record is None:
            self.fail(f"claim {name} was deleted without a cause")
        else:
            self._check_replacements(record)
            self._check_price(record)

    def _check_replacements(self, record: CommandRecord) -> None:
        by_name = {claim.name: claim for claim in self._world.claims()}
        for name in record.replacements:
            self.seen["replacement"] += 1
            replacement = by_name.get(name)
            if replacement is None or not replacement.has(INITIALIZED):
                self.fail(f"command {record.id} drains before replacement {name} is there")

    def _check_price(self, record: CommandRecord) -> None:
        """Who consolidates pays less afterwards. Prices here stand still, so there is no other way to find out."""
        if record.method.reason is not DisruptionReason.UNDERUTILIZED or record.id not in self._cost_before:
            return
        self.seen["price"] += 1
        before, after = self._cost_before[record.id], self._cost(record.replacements)
        if after >= before:
            self.fail(f"command {record.id} puts machines for {after} in place of machines for {before}")

    def _cost(self, claims: Iterable[str]) -> UsdPerHour:
        names = set(claims)
        prices = (each.price for each in self._world.machines() if each.machine.claim_name in names)
        return sum((price for price in prices if price is not None), UsdPerHour(0))

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

    def _pod(self, key: str, uid: str) -> Pod | None:
        """The pod that is meant; another one of its name is safe from what is done."""
        return next((pod for pod in self._world.pods() if pod.key == key and uid in {"", pod.meta.uid}), None)

    def _claim_of_node(self, node_name: str) -> NodeClaim | None:
        node = next((node for node in self._world.nodes() if node.name == node_name), None)
        claims = self._world.claims()
        return next((claim for claim in claims if node is not None and claim.provider_id == node.provider_id), None)

    # --- looked at when the world changes ---

    def _changed(self, occurrence: Occurrence) -> None:
        if occurrence.kind.name == "NodeClaim" and _has_record(occurrence.after) and not _has_record(occurrence.before):
            after = occurrence.stored.value(NODE_CLAIM)
            record = read(after)
            if record is not None:
                self._began(after, record)
        elif occurrence.kind.name == "Pod" and self._evicting[occurrence.key] and occurrence.before is not None:
            self._check_protection(POD.decode(occurrence.before))

    def _began(self, claim: NodeClaim, record: CommandRecord) -> None:
        """A node was marked to leave."""
        self.commands[record.method.value] += 1
        self.begun.append(record)
        if record.id not in self._cost_before:
            self._cost_before[record.id] = self._cost(record.candidates)
        self._check_budget(claim, record)

    def _check_budget(self, claim: NodeClaim, record: CommandRecord) -> None:
        """Nodes that leave stay within the pool's budget; those that are not ready, or go anyway, use it up too."""
        pool = self.pools().get(claim.pool_name)
        if pool is None:
            return
        self.seen["budget"] += 1
        own = [each for each in self._world.claims() if each.pool_name == pool.name and each.has(INITIALIZED)]
        present = [each for each in own if not each.has(INSTANCE_TERMINATING)]
        nodes = {node.provider_id: node for node in self._world.nodes()}
        leaving = {each.name for each in present if read(each) is not None} | {claim.name}
        if not self.is_hampered:
            leaving |= {each.name for each in present if self._uses_budget(each, nodes.get(each.provider_id))}
        now, total = self._world.clock.now(), len(present)
        # A node that came up since the decision was not counted then: what was allowed with or without it.
        allowed = max(effective_budget(pool, record.method.reason, count, now) for count in (total, total + 1))
        if len(leaving) > allowed:
            self.fail(f"{len(leaving)} of {total} nodes of {pool.name} leave, {allowed} may: {sorted(leaving)}")

    def _uses_budget(self, claim: NodeClaim, node: Node | None) -> bool:
        """Whether it has been going, or not ready, for so long that everybody knows."""
        known = self._world.clock.now() - NEWS_TAKES
        if claim.meta.deleted_at is not None and claim.meta.deleted_at <= known:
            return True
        if node is None or node.is_ready:
            return False
        ready = node.conditions.get("Ready")
        return (ready.changed_at if ready is not None else node.meta.created_at) <= known

    def _check_protection(self, pod: Pod) -> None:
        """After our eviction as many pods are healthy as the budget wants, counted here and not by the server."""
        if not (pod.is_ready and pod.is_active):
            return
        table = self._world.server.history.table(POD_DISRUPTION_BUDGET)
        for stored in table.values():
            budget = stored.value(POD_DISRUPTION_BUDGET)
            selector, status = budget.selector, stored.manifest.get("status") or {}
            if selector is None or not selector.matches(pod.meta.labels) or budget.meta.namespace != pod.meta.namespace:
                continue
            if self.is_hampered and pod.meta.name not in status.get("disruptedPods", {}):
                continue  # While the answer is late, something else may take the pod.
            self.seen["protection"] += 1
            selected = [each for each in self._world.pods() if selector.matches(each.meta.labels)]
            healthy = sum(1 for each in selected if each.is_ready and each.is_active)
            if healthy < status.get("desiredHealthy", 0):
                self.fail(
                    f"{budget.meta.name} wants {status['desiredHealthy']} healthy pods, an eviction left {healthy}"
                )

    def pools(self) -> Mapping[str, NodePool]:
        """The NodePools."""
        table = self._world.server.history.table(NODE_POOL)
        return {key: table[key].value(NODE_POOL) for key in sorted(table)}


def _has_record(claim: Manifest | None) -> bool:
    return claim is not None and COMMAND in (claim["metadata"].get("annotations") or {})


def _would_be_lost(pod: Pod) -> bool:
    """Whether the pod is somebody's work that would have to move: no daemon, none that stays to the end, none going."""
    stays = pod.is_owned_by_daemonset or any(each.tolerates(DISRUPTED) for each in pod.spec.tolerations)
    return pod.is_active and not stays
