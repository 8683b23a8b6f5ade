"""The disruption loop: decide, wait, decide again, hand over (spec 5.1, 5.6).

No policy is here. A command that a later look does not uphold is dropped, and its nodes rest for a while, so that one
node's bad luck never keeps the others from their turn. Where a look found nothing, the next one waits until something
has changed, or until time alone may have freed a node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from nodesmith.controllers.controller import Again, Outcome
from nodesmith.controllers.decisions import DecisionRecord, Decisions, decision_id
from nodesmith.controllers.disruption.prices import Prices
from nodesmith.controllers.disruption.queue import CommandQueue
from nodesmith.controllers.disruption.telling import Telling
from nodesmith.controllers.guard import DISRUPTION, Guard
from nodesmith.controllers.provisioning.catalogs import catalog_of, may_disrupt
from nodesmith.controllers.provisioning.provisioner import PATIENCE
from nodesmith.controllers.shell import Shell, until
from nodesmith.decide.disrupt.chances import next_chance
from nodesmith.decide.disrupt.policy import Policy
from nodesmith.decide.disrupt.standing import faults_of, greedy, problem_of
from nodesmith.decide.disrupt.verdict import Memory, Rejected, Verdict
from nodesmith.decide.lifecycle.quiet import Sight
from nodesmith.decide.lifecycle.undecided import within_limits
from nodesmith.decide.schedule.problem import Catalog, Problem
from nodesmith.model.instancetype import InstanceType
from nodesmith.plan.command import Command, to_json
from nodesmith.ports.errors import PortError
from nodesmith.state.snapshot import Snapshot

QUIET: Final = timedelta(seconds=10)
"""How soon a change is looked at when nothing was found."""

UNSYNCED: Final = timedelta(seconds=1)
AT_ONCE: Final = timedelta(milliseconds=1)
SHORT_REST: Final = timedelta(minutes=1)
"""How long a node is left alone after a command for it was not upheld: the cluster is on the move there."""

REST: Final = timedelta(minutes=5)
"""The same after a command failed; twice as long each further time. One that could not even be started, because the
API server did not answer or somebody else wrote at the same time, is no sign of a bad node: that rest ends here."""

LONGEST_REST: Final = 16 * REST


@dataclass(frozen=True, slots=True)
class _Nothing:
    """A look that found nothing: what it saw, in which generation of the store, and until when that is final."""

    sight: Sight
    generation: int
    until: datetime


class Decide(Protocol):
    """One pass: see `decide.disrupt.decide.decide`."""

    def __call__(
        self, snapshot: Snapshot, catalog: Catalog, *, now: datetime, policy: Policy, memory: Memory
    ) -> Verdict:
        """The command of this pass, if any, and why every other node stays."""
        ...


class Validate(Protocol):
    """Decides the same again: see `decide.disrupt.decide.validate`."""

    def __call__(
        self, command: Command, snapshot: Snapshot, catalog: Catalog, *, now: datetime, policy: Policy
    ) -> Command | Rejected:
        """The command as it is to be carried out, or why it no longer stands."""
        ...


class DisruptionLoop:
    """Finds one command a pass and starts it."""

    def __init__(
        self,
        shell: Shell,
        queue: CommandQueue,
        decisions: Decisions,
        decide: Decide,
        validate: Validate,
        *,
        guard: Guard,
    ) -> None:
        self._shell = shell
        self._queue = queue
        self._decisions = decisions
        self._decide = decide
        self._validate = validate
        self._guard = guard
        self._memory = Memory()
        self._failures: dict[str, int] = {}
        self._has_recovered = False
        self._prices = Prices(shell.metrics)
        self._telling = Telling(shell)
        self._sight: Sight | None = None
        self._nothing: _Nothing | None = None

    @property
    def offered(self) -> Sequence[Sequence[InstanceType]]:
        """The types that are offered, as they were at the last look; each list of them once."""
        return self._prices.offered

    async def reconcile(self, _: str) -> Outcome:
        """A command was started, or there is none."""
        if not self._shell.store.is_listed:
            return Again(UNSYNCED)
        self._telling.looks()
        if self._stands_still():
            return self._later()
        if not self._has_recovered:
            await self._queue.recover()
            self._has_recovered = True
        is_clear = await self._queue.clear_stale()
        self._rest_longer(self._queue.take_failed())
        snapshot = self._snapshot()
        if snapshot is None:
            return Again(UNSYNCED)
        generation = self._shell.store.generation(snapshot.taken_at)
        before, sight = self._nothing, Sight.of(snapshot, self._sight)
        self._sight = sight
        if before is not None and sight.is_as_before(before.sight) and snapshot.taken_at < before.until:
            self._nothing = replace(before, generation=generation) if is_clear else before
            return self._later()
        catalog, verdict = await self._look(snapshot)
        if verdict.command is not None:
            self._nothing = None
            await self._carry_out(verdict.command, snapshot, catalog)
            return Again(AT_ONCE)
        chance = next_chance(verdict, snapshot)
        is_final = is_clear and chance > snapshot.taken_at
        self._nothing = _Nothing(sight, generation, chance) if is_final else None
        return self._later()

    def _stands_still(self) -> bool:
        """Whether nothing at all has changed since a look that found nothing, and nothing is due."""
        now, before = self._shell.now(), self._nothing
        return before is not None and now < before.until and self._shell.store.generation(now) == before.generation

    def _later(self) -> Outcome:
        """The next look: when time may have freed a node; soon, if that is not known or things have changed."""
        before = self._nothing
        return Again(until(before.until, self._shell.now()) if before is not None and self._stands_still() else QUIET)

    async def _look(self, snapshot: Snapshot) -> tuple[Catalog, Verdict]:
        """What there is to buy, and what is to be done."""
        catalog, policy = await self._catalog(snapshot), self._policy(snapshot)
        self._prices.tell(snapshot, catalog)
        started = self._shell.clock.monotonic()
        verdict = await self._shell.run_solver(
            lambda: self._decide(snapshot, catalog, now=snapshot.taken_at, policy=policy, memory=self._memory)
        )
        self._memory = verdict.memory
        self._failures = {
            state.name: self._failures[state.name] for state in snapshot.nodes if state.name in self._failures
        }
        self._telling.found(snapshot, verdict, took=self._shell.clock.monotonic() - started)
        return catalog, verdict

    def _snapshot(self) -> Snapshot | None:
        """The cluster now, or None while half of it is unknown, or old: a claim that was just made has no size yet."""
        if self._shell.freshness.stale():
            return None
        now = self._shell.now()
        snapshot = self._shell.store.snapshot(now)
        launching = (each.claim for each in snapshot.nodes if each.claim and not each.provider_id)
        if not self._shell.store.is_listed or any(now - claim.meta.created_at < PATIENCE for claim in launching):
            return None
        return within_limits(replace(snapshot, is_synced=True))

    async def _catalog(self, snapshot: Snapshot) -> Catalog:
        return await catalog_of(self._shell, [pool for pool in snapshot.pools if may_disrupt(pool)])

    def _policy(self, snapshot: Snapshot) -> Policy:
        buffered = self._shell.buffers.hosts(snapshot)
        return replace(self._shell.options.policy, queued=self._queue.queued_provider_ids(), buffered=buffered)

    async def _carry_out(self, command: Command, snapshot: Snapshot, catalog: Catalog) -> None:
        wait = command.method.validation_wait
        if wait:
            await self._shell.clock.sleep(wait)
            now = self._snapshot()
            if now is None:
                return
            snapshot, catalog = now, await self._catalog(now)
            upheld = await self._uphold(command, snapshot, catalog)
            if upheld is None:
                return
            command = upheld
        valid = await self._valid(command, snapshot, catalog)
        if valid is not None:
            await self._start(valid)

    async def _start(self, command: Command) -> None:
        id_ = decision_id(self._shell.rng.getrandbits(64))
        try:
            await self._queue.start(command, id_)
        except PortError as error:
            self._shell.log.warning("command not started", command=id_, error=f"{type(error).__name__}: {error}")
            self._rest_longer(command.nodes, first=SHORT_REST, longest=REST)
            return
        self._record(command, id_)

    async def _valid(self, command: Command, snapshot: Snapshot, catalog: Catalog) -> Command | None:
        """The command if it breaks no rule, else what the plain greedy makes of the cluster if that breaks none."""
        policy = self._policy(snapshot)
        problem, faults = await self._judged(command, snapshot, catalog, policy)
        if not faults:
            return command
        plainer = replace(policy, options=greedy(policy.options))
        verdict = await self._shell.run_solver(
            lambda: self._decide(snapshot, catalog, now=snapshot.taken_at, policy=plainer, memory=self._memory)
        )
        second, more = verdict.command, tuple[str, ...]()
        if second is not None:
            _, more = await self._judged(second, snapshot, catalog, plainer)
        instead = second if second is not None and not more else None
        await self._guard.report(
            problem,
            (*faults, *(f"plain greedy: {fault}" for fault in more)),
            controller=DISRUPTION,
            outcome="none" if instead is None else "plain greedy",
            pools=command.pools,
        )
        if instead is None:
            self._rest_longer(command.nodes)
        return instead

    async def _judged(
        self, command: Command, snapshot: Snapshot, catalog: Catalog, policy: Policy
    ) -> tuple[Problem, tuple[str, ...]]:
        problem = problem_of(command, snapshot, catalog, policy.options)
        return problem, await self._shell.run_solver(lambda: faults_of(command, problem))

    async def _uphold(self, command: Command, snapshot: Snapshot, catalog: Catalog) -> Command | None:
        """The command as it is decided now, or None when it no longer stands."""
        policy = self._policy(snapshot)
        answer = await self._shell.run_solver(
            lambda: self._validate(command, snapshot, catalog, now=snapshot.taken_at, policy=policy)
        )
        if isinstance(answer, Command):
            return answer
        self._memory = self._memory.resting_until(answer.culprits, self._shell.now() + SHORT_REST)
        self._telling.not_upheld(command, snapshot, answer.reason.value)
        self._shell.log.info("command not upheld", reason=answer.reason.value, detail=answer.detail)
        return None

    def _rest_longer(self, nodes: Sequence[str], *, first: timedelta = REST, longest: timedelta = LONGEST_REST) -> None:
        for node in nodes:
            failures = self._failures[node] = self._failures.get(node, 0) + 1
            rest = min(first * 2 ** min(failures - 1, 10), longest)
            self._memory = self._memory.resting_until((node,), self._shell.now() + rest)

    def _record(self, command: Command, id_: str) -> None:
        record = DecisionRecord(
            id=id_,
            kind="disrupt",
            at=self._shell.now(),
            summary=f"disrupting node(s) via {command.describe(id_)}",
            plan=to_json(command),
            inputs={
                "approvals": [each.sentence for each in command.approvals],
                "nodes": {each.node: list(each.pods) for each in command.candidates},
            },
        )
        self._decisions.record(record)
