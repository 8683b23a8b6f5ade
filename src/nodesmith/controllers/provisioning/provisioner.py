"""Plans for pods that wait, and makes the NodeClaims of the plan (spec 3.1, 3.2, 3.9).

A claim that is being launched has no size yet: the pods that it was bought for are left out until it has one, and a
pool with limits buys nothing meanwhile. So a launch that hangs holds up nobody else. From then on until it is fit, its
pods are planned for as if they were on it. Pods of a node that a command is about to take are the command's affair
until it drains the node.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from nodesmith.controllers import tell
from nodesmith.controllers.controller import DONE, Again, Outcome
from nodesmith.controllers.decisions import DecisionRecord, Decisions, decision_id
from nodesmith.controllers.guard import Guard
from nodesmith.controllers.provisioning.bookkeeping import PodTimes, PodZones
from nodesmith.controllers.provisioning.catalogs import catalog_of, may_buy
from nodesmith.controllers.provisioning.naming import create_named
from nodesmith.controllers.provisioning.stuck import Ground, Stuck
from nodesmith.controllers.shell import Shell
from nodesmith.decide.disrupt.protection import Guards, is_protected, prevents
from nodesmith.decide.lifecycle.buffers import is_virtual
from nodesmith.decide.lifecycle.newclaim import claim_for, planned_pods
from nodesmith.decide.lifecycle.promises import keep_promises
from nodesmith.decide.lifecycle.undecided import staying_pods, within_limits
from nodesmith.decide.schedule.checked import Solve
from nodesmith.decide.schedule.defaultspread import spread_by_default
from nodesmith.decide.schedule.problem import Catalog, Problem, pods_to_place
from nodesmith.decide.schedule.zones import pods_by_zone
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.model.pod import Pod
from nodesmith.plan.command import claim_to_json
from nodesmith.plan.reason import BlockCode
from nodesmith.plan.schedule import OnClaim, OnNode, PlannedClaim, SchedulePlan
from nodesmith.ports.errors import PortError
from nodesmith.ports.metrics import Reading
from nodesmith.state.snapshot import Snapshot

PATIENCE: Final = timedelta(seconds=10)
"""How long a new claim's launch is waited for before the next machines are planned without knowing its size."""

_IGNORED: Final = frozenset({BlockCode.INVALID, BlockCode.VOLUME, BlockCode.RESOURCE_CLAIMS})
"""What is wrong with a pod itself: no machine would help it."""

LOOK_AGAIN: Final = timedelta(seconds=1)
CREATES_AT_ONCE: Final = 10
PODS_TOLD: Final = 5


class Provisioner:
    """Buys machines for pods."""

    def __init__(self, shell: Shell, solve: Solve, decisions: Decisions, times: PodTimes, guard: Guard) -> None:
        self._shell = shell
        self._times = times
        self._solve = solve
        self._decisions = decisions
        self._guard = guard
        self._planning_since: float | None = None
        self._zones = PodZones(shell.metrics)
        self._waiting: list[asyncio.Event] = []
        self._stuck = Stuck()

    def planned(self) -> asyncio.Event:
        """An event that is set when a plan that is begun from now on has been carried out."""
        event = asyncio.Event()
        self._waiting.append(event)
        return event

    def readings(self) -> Iterator[Reading]:
        """How long the planning under way has run."""
        since, now = self._planning_since, self._shell.clock.monotonic()
        spent = 0.0 if since is None else now - since
        yield Reading("scheduler_unfinished_work_seconds", spent, {"controller": "provisioner", "scheduling_id": ""})

    async def reconcile(self, _: str) -> Outcome:
        """Every pod that waits has a node, a claim, or an event that says why not."""
        waiting, self._waiting = self._waiting, []
        outcome: Outcome = Again(LOOK_AGAIN)
        try:
            outcome = await self._plan()
        finally:
            if isinstance(outcome, Again):
                self._waiting += waiting
            else:
                for event in waiting:
                    event.set()
        return outcome

    async def _plan(self) -> Outcome:
        now = self._shell.now()
        if not self._shell.store.is_listed:
            return Again(LOOK_AGAIN)
        snapshot, generation = self._shell.store.snapshot(now), self._shell.store.generation(now)
        launching = [
            each.claim for each in snapshot.nodes if each.claim and not each.provider_id and not each.is_deleting
        ]
        if any(now - claim.meta.created_at < PATIENCE for claim in launching):
            return Again(LOOK_AGAIN)
        promises = keep_promises(snapshot)
        snapshot = within_limits(promises.snapshot)
        for name in promises.nodes:
            self._shell.store.nominate(name, now=now)
        pods = _pods_to_place(snapshot, self._shell.buffers.pods(), launching, now)
        if not pods:
            return DONE
        catalog = await self._catalog(snapshot, launching)
        ground = Ground(generation, pods, catalog, now)
        stuck = self._stuck.plan(ground)
        if stuck is not None:
            self._tell_unplaced(stuck, pods)
            return DONE
        plan = await self._made(snapshot, catalog, pods)
        self._stuck.note(ground, plan)
        return DONE

    async def _made(self, snapshot: Snapshot, catalog: Catalog, pods: tuple[Pod, ...]) -> SchedulePlan | None:
        """The plan for the pods, which has been carried out; None where every plan breaks a rule."""
        problem = spread_by_default(Problem(snapshot, catalog, pods, options=self._shell.options.schedule))
        self._shell.metrics.set("scheduler_queue_depth", len(pods), controller="provisioner", scheduling_id="")
        self._shell.log.info("found provisionable pod(s)", Pods=_told(pods))
        started = self._planning_since = self._shell.clock.monotonic()
        try:
            plan = await self._guard.plan(problem, self._solve)
        finally:
            self._planning_since = None
        took = self._shell.clock.monotonic() - started
        self._shell.metrics.observe("scheduler_scheduling_duration_seconds", took, controller="provisioner")
        self._times.decided(pods)
        self._zones.tell(await self._shell.run_solver(lambda: pods_by_zone(problem)))
        if plan is None:
            self._tell_no_plan(pods)
        else:
            await self._carry_out(problem, plan)
        return plan

    async def _catalog(self, snapshot: Snapshot, launching: Sequence[NodeClaim]) -> Catalog:
        busy = {claim.pool_name for claim in launching}
        pools = [pool for pool in snapshot.pools if may_buy(pool) and not (pool.limits and pool.name in busy)]
        catalog = await catalog_of(self._shell, pools)
        for pool in pools:
            if pool.name not in catalog:
                self._shell.events.publish(tell.no_compatible_instance_types(pool))
        return catalog

    async def _carry_out(self, problem: Problem, plan: SchedulePlan) -> None:
        room = [pod for pod in problem.pods if is_virtual(pod)]
        pods = {pod.key: pod for pod in problem.pods}
        kept = {pod.key for pod in room}
        self._tell_unplaced(plan, problem.pods)
        names = await self._buy(problem, plan)
        self._shell.buffers.planned(plan, room, names)
        for key, place in plan.placements.items():
            pod = pods.get(key)
            if key in kept:
                continue
            if isinstance(place, OnNode):
                self._nominate(problem.snapshot, place.node, pod)
            elif isinstance(place, OnClaim) and (name := names[place.index]):
                self._shell.store.nominate(name, now=self._shell.now())
                if pod is not None:
                    self._shell.events.publish(tell.nominated(pod, claim=name))

    async def _buy(self, problem: Problem, plan: SchedulePlan) -> list[str]:
        """The names of the claims that the plan asks for, now made; empty for one that could not be.

        A claim that is refused (an old CRD, an admission policy) does not keep the others from being made.
        """
        if not plan.claims:
            return []
        record = self._recorded(problem, plan)
        pools = {pool.name: pool for pool in problem.snapshot.pools}
        names = [""] * len(plan.claims)
        gate = asyncio.Semaphore(CREATES_AT_ONCE)

        async def create(index: int, planned: PlannedClaim) -> None:
            async with gate:
                try:
                    names[index] = await self._create(planned, pools[planned.pool_name], record.id)
                except PortError as error:
                    told = f"{type(error).__name__}: {error}"
                    self._shell.log.warning("nodeclaim not created", NodePool=planned.pool_name, error=told)

        async with asyncio.TaskGroup() as group:
            for index, planned in enumerate(plan.claims):
                group.create_task(create(index, planned), name=f"create-nodeclaim-{index}")
        return names

    async def _create(self, planned: PlannedClaim, pool: NodePool, decision: str) -> str:
        created = await create_named(
            self._shell, pool.name, lambda name: claim_for(planned, pool, name=name, decision_id=decision)
        )
        self._shell.metrics.count(
            "nodeclaims_created_total",
            reason="provisioned",
            nodepool=pool.name,
            min_values_relaxed=str(planned.is_min_values_relaxed).lower(),
        )
        self._shell.log.info("created nodeclaim", NodeClaim=created.name, NodePool=pool.name, decision=decision)
        return created.name

    def _recorded(self, problem: Problem, plan: SchedulePlan) -> DecisionRecord:
        count = len(plan.claims)
        record = DecisionRecord(
            id=decision_id(self._shell.rng.getrandbits(64)),
            kind="provision",
            at=problem.snapshot.taken_at,
            summary=f"computed new nodeclaim(s) to fit pod(s): {count} for {len(plan.placements)} pod(s)",
            plan={
                "nodeclaims": [claim_to_json(claim) for claim in plan.claims],
                "onNodes": {key: place.node for key, place in plan.placements.items() if isinstance(place, OnNode)},
                "unplaced": {key: str(why) for key, why in plan.unplaced.items()},
                "price": plan.price.dollars,
                "strategy": plan.strategy,
            },
            inputs={
                "pods": [pod.key for pod in problem.pods],
                "nodes": [node.name for node in problem.snapshot.nodes],
                "nodepools": {name: len(types) for name, types in problem.catalog.items()},
            },
        )
        self._decisions.record(record)
        return record

    def _tell_unplaced(self, plan: SchedulePlan, planned: Sequence[Pod]) -> None:
        pods = {pod.key: pod for pod in planned if not is_virtual(pod)}
        unplaced = {key: why for key, why in plan.unplaced.items() if key in pods}
        ignored = sum(why.blocked.code in _IGNORED for why in unplaced.values())
        self._shell.metrics.set("scheduler_ignored_pods_count", ignored)
        self._shell.metrics.set("scheduler_unschedulable_pods_count", len(unplaced), controller="provisioner")
        for key, why in unplaced.items():
            self._shell.events.publish(tell.failed_scheduling(pods[key], str(why)))

    def _tell_no_plan(self, pods: Sequence[Pod]) -> None:
        """Nothing is done; the pods are planned for again when they are next told of (every ten seconds)."""
        self._shell.metrics.set("scheduler_unschedulable_pods_count", len(pods), controller="provisioner")
        for pod in pods:
            if is_virtual(pod):
                continue
            self._shell.events.publish(tell.failed_scheduling(pod, "every plan that was made breaks a rule"))

    def _nominate(self, snapshot: Snapshot, node_name: str, pod: Pod | None) -> None:
        self._shell.store.nominate(node_name, now=self._shell.now())
        state = next((each for each in snapshot.nodes if each.name == node_name), None)
        if pod is None or state is None or not pod.is_provisionable:
            return
        claim = state.claim.name if state.claim is not None else ""
        node = state.node.name if state.node is not None else ""
        self._shell.events.publish(tell.nominated(pod, node=node, claim=claim))


def _pods_to_place(
    snapshot: Snapshot, room: Sequence[Pod], launching: Sequence[NodeClaim], now: datetime
) -> tuple[Pod, ...]:
    """The pods that need a node now: not those a machine is on its way for, nor those that do not move yet.

    Among them are those that stand for `room` that is to be kept.
    """
    promised = frozenset[str]().union(staying_pods(snapshot), *(planned_pods(claim) for claim in launching))
    guards = Guards.of(snapshot.budgets)
    return tuple(
        pod
        for pod in (*pods_to_place(snapshot), *room)
        if pod.key not in promised and (not pod.node_name or _may_move(pod, guards, now))
    )


def _told(pods: Sequence[Pod]) -> str:
    """The first pods by name, and how many more there are."""
    names = ", ".join(pod.key for pod in pods[:PODS_TOLD])
    more = len(pods) - PODS_TOLD
    return f"{names} and {more} other(s)" if more > 0 else names


def _may_move(pod: Pod, guards: Guards, now: datetime) -> bool:
    """Whether a pod on a leaving node would go if it were asked to (spec 3.2); else it needs no other place yet."""
    if pod.meta.is_deleting:
        return True
    return not is_protected(pod, now) and not any(prevents(budget, pod) for budget in guards.over(pod))
