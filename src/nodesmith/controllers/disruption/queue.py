"""Commands under way: set up, waited for, carried out or taken back (spec 5.7).

Replacements are initialized before anything is drained. What the queue knows stands on the claims as well, so a process
that starts anew goes on where the last one stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from nodesmith.actuate.disruption import Disruptions
from nodesmith.controllers import tell
from nodesmith.controllers.controller import DONE, Again, Controller, Outcome
from nodesmith.controllers.provisioning.naming import new_name
from nodesmith.controllers.shell import Shell
from nodesmith.decide.lifecycle.command_record import CommandRecord, is_orphaned, is_stale, resumable
from nodesmith.decide.lifecycle.newclaim import claim_for
from nodesmith.model.labels import CAPACITY_TYPE
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import INITIALIZED, NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.model.pod import Pod
from nodesmith.plan.command import Command
from nodesmith.plan.schedule import OnClaim, OnNode
from nodesmith.ports.errors import Conflict, NotFound, PortError
from nodesmith.state.snapshot import StateNode

LOOK_AGAIN: Final = timedelta(seconds=1)
_PER_CANDIDATE: Final = timedelta(milliseconds=80)
_SHORTEST: Final = timedelta(minutes=10)
_LONGEST: Final = timedelta(hours=1)


class CommandFailed(Exception):
    """The command cannot be carried out any more, and is to be taken back."""


class CommandQueue:
    """Carries commands out."""

    def __init__(self, shell: Shell, replan: Callable[[str], None]) -> None:
        self._shell = shell
        self._replan = replan
        self._disruptions = Disruptions(shell.writer, shell.claims)
        self._running: dict[str, CommandRecord] = {}
        self._failed: list[str] = []
        self.controller: Controller[str] = Controller(
            "disruption-queue", self._reconcile, shell.telemetry, shell.rng, workers=shell.options.workers
        )

    @property
    def running(self) -> frozenset[str]:
        """The ids of the commands under way."""
        return frozenset(self._running)

    def take_failed(self) -> tuple[str, ...]:
        """The names of nodes for whose sake a command was taken back since this was last asked.

        What else the command was to take can go at once with another one.
        """
        failed, self._failed = tuple(self._failed), []
        return failed

    def queued_provider_ids(self) -> frozenset[str]:
        """The machines that leave by a command under way."""
        claims = (
            self._shell.store.get(NodeClaim, name) for record in self._running.values() for name in record.candidates
        )
        return frozenset(claim.provider_id for claim in claims if claim is not None)

    async def recover(self) -> None:
        """Commands of an earlier process go on; what it left half done is taken back."""
        nodes = self._shell.store.snapshot(self._shell.now()).nodes
        for record in resumable(nodes, lambda name: self._shell.store.get(NodeClaim, name)):
            if record.id not in self._running and any(self._remains(name) for name in record.candidates):
                self._shell.log.info("resuming command", command=record.id)
                self._enqueue(record)
        await self.clear_stale()

    async def clear_stale(self) -> bool:
        """No node that stays carries traces of a disruption, and no replacement comes up for nothing.

        False when the cluster has moved on meanwhile, so that it has to be looked at again.
        """
        nodes = self._shell.store.snapshot(self._shell.now()).nodes
        for state in nodes:
            if is_orphaned(state, self.running) and state.claim is not None:
                await self._clear_orphan(state.claim)
        is_clear = True
        for state in nodes:
            if is_stale(state, self.running) and state.claim is not None:
                try:
                    await self._disruptions.reopen(state.node, state.claim)
                except (Conflict, NotFound):
                    is_clear = False
        return is_clear

    async def _clear_orphan(self, claim: NodeClaim) -> None:
        if await self._shell.claims.delete(claim):
            self._shell.store.mark(claim.name)
            self._shell.log.info("deleted replacement of a command taken back", NodeClaim=claim.name)

    async def start(self, command: Command, id_: str) -> None:
        """The command is under way, or nothing of it is left.

        Raises:
            PortError: when it could not be set up, and was taken back as far as that was possible.
        """
        names = [new_name(claim.pool_name, self._shell.rng) for claim in command.replacements]
        record = CommandRecord.of(command, id_=id_, replacements=names, now=self._shell.now())
        self._running[id_] = record
        try:
            await self._set_up(command, record)
        except PortError:
            del self._running[id_]
            await self._take_back(record, frozenset())
            raise
        self._enqueue(record)
        self._tell_started(command, record)

    async def _set_up(self, command: Command, record: CommandRecord) -> None:
        claims = [await self._disruptions.write_down(self._claim(name), record) for name in record.candidates]
        for claim, leaving in zip(claims, command.candidates, strict=True):
            node = self._shell.store.get(Node, leaving.node)
            if node is None:
                raise NotFound(f"node {leaving.node} is gone")
            await self._disruptions.close(node, self._claim(claim.name), record)
        self._check_arrivals(command)
        for name, planned in zip(record.replacements, command.replacements, strict=True):
            pool = self._shell.store.get(NodePool, planned.pool_name)
            if pool is None:
                raise NotFound(f"nodepool {planned.pool_name} is gone")
            claim = claim_for(planned, pool, name=name, decision_id=record.id, replaces_for=record.reason)
            created = await self._shell.claims.create(claim)
            self._shell.store.claim_created(created, now=self._shell.now())
            labels = {"nodepool": pool.name, "min_values_relaxed": str(planned.is_min_values_relaxed).lower()}
            self._shell.metrics.count("nodeclaims_created_total", reason=record.reason.lower(), **labels)

    def _check_arrivals(self, command: Command) -> None:
        """No pod has come to a candidate between the decision and the taint.

        Raises:
            Conflict: when one has: the decision knew nothing of it.
        """
        for leaving in command.candidates:
            here = {pod.key for pod in self._shell.store.pods_on(leaving.node) if pod.is_reschedulable}
            if not here <= set(leaving.pods):
                raise Conflict(f"pods came to {leaving.node} after the decision: {sorted(here - set(leaving.pods))}")

    def _claim(self, name: str) -> NodeClaim:
        claim = self._shell.store.get(NodeClaim, name)
        if claim is None or claim.meta.is_deleting:
            raise NotFound(f"nodeclaim {name} is gone")
        return claim

    def _enqueue(self, record: CommandRecord) -> None:
        self._running[record.id] = record
        for name in record.candidates:
            self._shell.store.mark(name)
        self.controller.mark(record.id)

    def _tell_started(self, command: Command, record: CommandRecord) -> None:
        now = self._shell.now()
        for name in command.targets:
            self._shell.store.nominate(name, now=now)
        for key, place in command.placements.items():
            pod = self._shell.store.get(Pod, key)
            if pod is not None and isinstance(place, OnNode):
                self._shell.events.publish(tell.nominated(pod, node=place.node))
            elif pod is not None and isinstance(place, OnClaim):
                self._shell.events.publish(tell.nominated(pod, claim=record.replacements[place.index]))
        labels = {
            "decision": command.decision.value,
            "reason": record.reason.lower(),
            "consolidation_type": command.method.consolidation_type,
        }
        self._shell.metrics.count("voluntary_disruption_decisions_total", **labels)
        for pool in command.pools:
            self._shell.metrics.count("voluntary_disruption_decisions_by_nodepool_total", nodepool=pool, **labels)

    async def _reconcile(self, id_: str) -> Outcome:
        record = self._running.get(id_)
        if record is None:
            return DONE
        try:
            if not self._are_ready(record):
                return Again(LOOK_AGAIN)
            await self._retire(record)
        except CommandFailed as failure:
            await self._fail(record, str(failure))
            return DONE
        except PortError as error:
            if self._is_overdue(record):
                await self._fail(record, str(error))
                return DONE
            raise
        del self._running[id_]
        return DONE

    def _are_ready(self, record: CommandRecord) -> bool:
        """Whether every replacement is fit for pods.

        Raises:
            CommandFailed: when one of them is gone, or the time is over.
        """
        waiting = [claim for claim in self._replacements(record) if not claim.has(INITIALIZED)]
        for claim in waiting:
            self._shell.events.publish(tell.launching(claim, record.reason))
            self._shell.events.publish(tell.waiting_for_readiness(claim))
        if waiting and self._is_overdue(record):
            raise CommandFailed("the replacements did not become ready in time")
        return not waiting

    def _replacements(self, record: CommandRecord) -> Sequence[NodeClaim]:
        claims = []
        for name in record.replacements:
            claim = self._shell.store.get(NodeClaim, name) or self._just_created(name)
            if claim is None or claim.meta.is_deleting:
                raise CommandFailed(f"replacement {name} was deleted")
            claims.append(claim)
        return claims

    def _just_created(self, name: str) -> NodeClaim | None:
        """The claim, while no watch has shown it."""
        nodes = self._shell.store.snapshot(self._shell.now()).nodes
        return next((each.claim for each in nodes if each.claim is not None and each.claim.name == name), None)

    def _is_overdue(self, record: CommandRecord) -> bool:
        queued = sum(len(each.candidates) for each in self._running.values())
        longest = min(max(_PER_CANDIDATE * queued, _SHORTEST), _LONGEST)
        return self._shell.now() - record.started_at >= longest

    async def _retire(self, record: CommandRecord) -> None:
        """Every candidate's claim is on its way out."""
        for name in record.candidates:
            claim = self._shell.store.get(NodeClaim, name)
            if claim is None or claim.meta.is_deleting:
                continue
            for event in tell.terminating(self._state_of(claim), record.reason):
                self._shell.events.publish(event)
            if await self._shell.claims.delete(claim):
                labels = {"nodepool": claim.pool_name, "capacity_type": claim.labels.get(CAPACITY_TYPE, "")}
                self._shell.metrics.count("nodeclaims_disrupted_total", reason=record.reason.lower(), **labels)
                self._shell.log.info("disrupting node(s)", NodeClaim=name, command=record.id, reason=record.reason)
            self._replan(claim.meta.uid)

    def _state_of(self, claim: NodeClaim) -> StateNode:
        nodes = self._shell.store.nodes_with(claim.provider_id)
        return StateNode(nodes[0] if nodes else None, claim)

    async def _fail(self, record: CommandRecord, why: str) -> None:
        del self._running[record.id]
        labels = {"decision": record.decision.value, "reason": record.reason.lower()}
        missing = [name for name in record.replacements if not self._is_initialized(name)]
        self._shell.metrics.count(
            "voluntary_disruption_queue_failures_total",
            len(missing),
            consolidation_type=record.method.consolidation_type,
            **labels,
        )
        self._shell.log.warning("command taken back", command=record.id, why=why)
        gone = [name for name in missing if not self._remains(name)]
        await self._take_back(record, record.served_by(gone or missing) or frozenset(record.candidates))

    async def _take_back(self, record: CommandRecord, culprits: frozenset[str]) -> None:
        """The candidates that stay are open again, as far as they can be reached: the loop clears up the rest.

        What was bought for them goes first: both together may be more than their pools' limits allow. The culprits
        among them are to rest.
        """
        for name in record.candidates:
            claim = self._shell.store.get(NodeClaim, name)
            self._shell.store.unmark(name)
            if claim is not None and not claim.meta.is_deleting and name in culprits:
                self._failed.append(self._state_of(claim).name)
        try:
            await self._give_up_replacements(record)
        except PortError as error:
            self._shell.log.warning("replacements not cleared yet", command=record.id, error=str(error))
            return
        for name in record.candidates:
            claim = self._shell.store.get(NodeClaim, name)
            if claim is None or claim.meta.is_deleting:
                continue
            try:
                await self._disruptions.reopen(self._state_of(claim).node, claim)
            except PortError as error:
                self._shell.log.warning("node not reopened yet", NodeClaim=name, error=str(error))

    async def _give_up_replacements(self, record: CommandRecord) -> None:
        """No replacement that is not fit yet comes up, even one whose making was never answered."""
        for name in record.replacements:
            if not self._is_initialized(name) and await self._shell.claims.delete_named(name):
                self._shell.store.mark(name)
                self._shell.log.info("deleted replacement of a command taken back", NodeClaim=name)

    def _is_initialized(self, name: str) -> bool:
        claim = self._shell.store.get(NodeClaim, name)
        return claim is not None and claim.has(INITIALIZED)

    def _remains(self, name: str) -> bool:
        claim = self._shell.store.get(NodeClaim, name)
        return claim is not None and not claim.meta.is_deleting
