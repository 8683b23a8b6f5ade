"""All controllers, made from a shell, and which change of which object marks which of their keys."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from nodesmith.controllers.batcher import Batcher
from nodesmith.controllers.capacitybuffer import BufferStatus
from nodesmith.controllers.controller import DONE, SINGLETON, Again, Controller, Outcome, Service
from nodesmith.controllers.decisions import Decisions
from nodesmith.controllers.disruption.loop import QUIET, Decide, DisruptionLoop, Validate
from nodesmith.controllers.disruption.queue import CommandQueue
from nodesmith.controllers.garbage import ClaimGarbage, MachineGarbage
from nodesmith.controllers.guard import Guard
from nodesmith.controllers.instance_status import InstanceStatus
from nodesmith.controllers.interruption import InterruptionService
from nodesmith.controllers.node.eviction import Evictions
from nodesmith.controllers.node.repair import Repair
from nodesmith.controllers.node.termination import NodeTermination
from nodesmith.controllers.nodeclaim.disruption import ClaimDisruption
from nodesmith.controllers.nodeclaim.finalizer import Finalizer
from nodesmith.controllers.nodeclaim.lifecycle import Lifecycle
from nodesmith.controllers.nodeclaim.moves import PodMoves
from nodesmith.controllers.nodeclaim.nominations import Nominations
from nodesmith.controllers.nodeclaim.upkeep import Consistency, Expiration, Hydration, MemoryLesson, PodEvents, Tagging
from nodesmith.controllers.nodepool.node_class import NodeClassStatus
from nodesmith.controllers.nodepool.registrations import RegistrationHealth
from nodesmith.controllers.nodepool.static import StaticPools
from nodesmith.controllers.nodepool.status import NodePoolStatus
from nodesmith.controllers.overlays import OverlayStatus
from nodesmith.controllers.ports import Ports
from nodesmith.controllers.provisioning.bookkeeping import PodTimes
from nodesmith.controllers.provisioning.provisioner import Provisioner
from nodesmith.controllers.reservations import ReservationEnds
from nodesmith.controllers.shell import Shell
from nodesmith.controllers.zonal_shift import ZonalShifts
from nodesmith.decide.schedule.checked import Solve
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.pod import Pod
from nodesmith.ports.metrics import Reading

RETRIGGER_EVERY: Final = timedelta(seconds=10)
"""While a pod waits; else as soon as this after something has changed."""

LONGEST_WAIT: Final = timedelta(seconds=10)
"""So long a drain is put off, at most, for its pods' next machine to be asked for."""

CLAIM_FIRST_RETRY: Final = timedelta(seconds=1)


class Batching:
    """Turns batches of pods into looks of the provisioner."""

    def __init__(self, batcher: Batcher, provisioner: Controller[str]) -> None:
        self._batcher = batcher
        self._provisioner = provisioner

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._batcher.wait()
            self._provisioner.mark(SINGLETON)


class Fleet:
    """The controllers, by the names that their metrics carry."""

    def __init__(
        self,
        shell: Shell,
        ports: Ports,
        *,
        solve: Solve,
        decide: Decide,
        validate: Validate,
        decisions: Decisions,
        fallback: Solve | None = None,
    ) -> None:
        self._shell = shell
        guard = Guard(shell, fallback)
        self.batcher = Batcher(shell.options.batch, shell.clock)
        health = RegistrationHealth(shell.store, self._mark_pool)
        self.evictions = Evictions(shell)
        self._nominations = Nominations(shell)
        self.commands = CommandQueue(shell, self.batcher.trigger)
        loop = self._loop = DisruptionLoop(shell, self.commands, decisions, decide, validate, guard=guard)
        each = self._controller
        self.times = PodTimes(shell.clock, shell.metrics)
        self._planner = Provisioner(shell, solve, decisions, self.times, guard)
        self.provisioner = each("provisioner", self._planner.reconcile, workers=1)
        self.triggers = each("provisioner.trigger", self._retrigger, workers=1)
        self.claims = each(
            "nodeclaim.lifecycle",
            Lifecycle(shell, Finalizer(shell), health, self._nominations).reconcile,
            workers=shell.options.workers * 10,
            first_retry=CLAIM_FIRST_RETRY,
        )
        self.claim_disruption = each("nodeclaim.disruption", ClaimDisruption(shell).reconcile)
        self.expiration = each("nodeclaim.expiration", Expiration(shell).reconcile)
        self.consistency = each("nodeclaim.consistency", Consistency(shell).reconcile)
        self.tagging = each("nodeclaim.tagging", Tagging(shell).reconcile)
        self.hydration = each("nodeclaim.hydration", Hydration(shell).reconcile)
        self.pod_events = each("nodeclaim.podevents", PodEvents(shell).reconcile)
        self.moves = PodMoves(shell)
        self.termination = each("node.termination", NodeTermination(shell, self.evictions).reconcile)
        self.repair = each("node.health", Repair(shell).reconcile)
        self.pools = each("nodepool.status", NodePoolStatus(shell, health).reconcile)
        self.static = each("static", StaticPools(shell).reconcile, workers=1)
        self.node_classes = each("nodeclass", NodeClassStatus(shell).reconcile)
        self.disruption = each("disruption", loop.reconcile, workers=1)
        self.claim_garbage = each("nodeclaim.garbagecollection", ClaimGarbage(shell).reconcile, workers=1)
        self.machine_garbage = each("instance.garbagecollection", MachineGarbage(shell).reconcile, workers=1)
        self.overlays = each("nodeoverlay", OverlayStatus(shell).reconcile, workers=1)
        self.buffers = each(
            "capacitybuffer", BufferStatus(shell, ports.cluster, self.batcher.trigger).reconcile, workers=1
        )
        self._batching = Batching(self.batcher, self.provisioner)
        self._interruption = (
            InterruptionService(shell, ports.queue, replan=self.batcher.trigger, replanned=self._replanned)
            if ports.queue
            else None
        )
        ask = ports.sick_instances
        learn = ports.learn_memory
        self.lessons = each("nodeclaim.capacity", MemoryLesson(shell, learn).reconcile, workers=1) if learn else None
        shifts = ports.zonal_shifts
        self._shifts = each("zonalshift", ZonalShifts(shell, shifts).reconcile, workers=1) if shifts else None
        self._reservations = each("capacityreservation", ReservationEnds(shell).reconcile, workers=1)
        self._sick = each("instance.status", InstanceStatus(shell, ask).reconcile, workers=1) if ask else None

    def services(self) -> dict[str, Service]:
        """Everything that acts, by name; the singletons have been told to look."""
        always = (self.triggers, self.disruption, self.claim_garbage, self.machine_garbage, self._reservations)
        for singleton in (*always, self._shifts, self._sick):
            if singleton is not None:
                singleton.mark(SINGLETON)
        services: dict[str, Service] = {controller.name: controller for controller in self._running()}
        services["batching"] = self._batching
        if self._interruption is not None:
            services["interruption"] = self._interruption
        return services

    def readings(self) -> Iterator[Reading]:
        """Numbers that change by themselves, as they are now."""
        for controller in self._running():
            yield from controller.readings()
        yield from self.times.readings()
        yield from self._planner.readings()

    def offered(self) -> Sequence[Sequence[InstanceType]]:
        """The types that are offered, as they were last looked at; each list of them once."""
        return self._loop.offered

    def _running(self) -> list[Controller[Any]]:
        controllers: list[Controller[Any]] = [
            self.provisioner,
            self.triggers,
            self.claims,
            self.claim_disruption,
            self.expiration,
            self.consistency,
            self.tagging,
            self.hydration,
            self.pod_events,
            self.moves.controller,
            self.termination,
            self.pools,
            self.node_classes,
            self.disruption,
            self.commands.controller,
            self.evictions.controller,
            self.claim_garbage,
            self.machine_garbage,
            self._reservations,
        ]
        if self._shell.options.gates.node_repair:
            controllers.append(self.repair)
        if self._shell.options.gates.static_capacity:
            controllers.append(self.static)
        if self._shell.options.gates.node_overlay:
            controllers.append(self.overlays)
        if self._shell.options.gates.capacity_buffer:
            controllers.append(self.buffers)
        if self.lessons is not None:
            controllers.append(self.lessons)
        controllers += [each for each in (self._shifts, self._sick) if each is not None]
        return controllers

    def _controller(
        self,
        name: str,
        reconcile: Callable[[str], Awaitable[Outcome]],
        *,
        workers: int = 0,
        first_retry: timedelta = timedelta(milliseconds=100),
    ) -> Controller[str]:
        count = workers or self._shell.options.workers
        return Controller(
            name, reconcile, self._shell.telemetry, self._shell.rng, workers=count, first_retry=first_retry
        )

    def _mark_pool(self, name: str) -> None:
        self.pools.mark(name)

    def stirred(self) -> None:
        """Something has changed: those who look at everything look soon, however still it was before."""
        self.disruption.queue.mark_within(SINGLETON, QUIET)
        self.triggers.queue.mark_within(SINGLETON, RETRIGGER_EVERY)

    async def _replanned(self, uid: str) -> None:
        """What a leaving machine's pods need has been asked for, or could not be for a while."""
        planned = self._planner.planned()
        self.batcher.trigger(uid)
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_WAIT.total_seconds()):
                await planned.wait()

    async def _retrigger(self, _: str) -> Outcome:
        """Pods that still wait, or whose node is leaving, are planned for again (spec 3.1)."""
        store, now = self._shell.store, self._shell.now()
        generation = store.generation(now)
        is_waited = False
        for pod in store.all(Pod):
            if pod.is_provisionable:
                self.batcher.trigger(pod.meta.uid)
            is_waited |= pod.is_waiting
        for state in store.snapshot(now).nodes:
            if state.is_deleting and any(pod.is_reschedulable for pod in state.pods):
                self.batcher.trigger(state.provider_id or state.name)
                is_waited = True
        await self._nominations.forget_gone()
        has_moved = store.generation(self._shell.now()) != generation
        return Again(RETRIGGER_EVERY) if is_waited or has_moved else DONE
