"""Which nodes leave now, and why the others stay: one pass over all methods (spec 5.1).

The one thing to know: the first method that finds a command ends the pass. `validate` decides the same again on a later
snapshot; what it returns is the command to carry out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from nodesmith.api.bar import bar_from
from nodesmith.decide.disrupt.budgets import Allowance, allowances
from nodesmith.decide.disrupt.candidates import Candidate, Question, candidate
from nodesmith.decide.disrupt.consolidate import Consolidation
from nodesmith.decide.disrupt.drift import replace_drifted, replace_drifted_static
from nodesmith.decide.disrupt.emptiness import delete_empty, empty_nodes
from nodesmith.decide.disrupt.evaluate import Evaluator, Proposal
from nodesmith.decide.disrupt.foreseen import AHEAD, foresee
from nodesmith.decide.disrupt.fruitless import Fruitless, Ground
from nodesmith.decide.disrupt.policy import Policy, Way
from nodesmith.decide.disrupt.pricing import Refused
from nodesmith.decide.disrupt.rationing import Ration
from nodesmith.decide.disrupt.replay import apply, price_of
from nodesmith.decide.disrupt.scene import Scene
from nodesmith.decide.disrupt.simulate import VERY_MANY_PODS, Care, Simulator
from nodesmith.decide.disrupt.sparing import CONSOLIDATION_RULES, spared
from nodesmith.decide.disrupt.verdict import End, Foreseen, Memory, Rejected, RejectionReason, Verdict
from nodesmith.decide.disrupt.worth import Weighed
from nodesmith.decide.schedule.problem import Catalog
from nodesmith.model.nodeclaim import DRIFTED
from nodesmith.model.nodepool import DisruptionReason
from nodesmith.plan.command import Command, Method
from nodesmith.plan.stay import BudgetBlocked, Stay, StayCode, Told
from nodesmith.state.snapshot import Snapshot

LOOK_AHEAD_SHARE: Final = 12
"""A step that is looked ahead to gets so small a part of the effort."""


def decide(
    snapshot: Snapshot,
    catalog: Catalog,
    *,
    now: datetime,
    policy: Policy | None = None,
    memory: Memory | None = None,
) -> Verdict:
    """The command of this pass, if any, and the reason of every node that stays."""
    memory = (memory or Memory()).awake(now)
    if not snapshot.is_synced:
        return Verdict(None, memory=memory)
    scene = Scene.of(snapshot, catalog, now=now, policy=policy or Policy(), shared=memory.shared)
    return _Pass(scene, replace(memory, shared=scene.shared)).run()


def validate(
    command: Command, snapshot: Snapshot, catalog: Catalog, *, now: datetime, policy: Policy | None = None
) -> Command | Rejected:
    """The command as it is decided on the new snapshot, or why it no longer stands (spec 5.4, 5.6, Validation).

    Drift is not validated: its nodes have to leave in any case.
    """
    if command.method.is_eventual:
        return command
    this = _Pass(Scene.of(snapshot, catalog, now=now, policy=policy or Policy()), Memory())
    names = frozenset(command.nodes)
    found = [each for each in this.candidates(command.reason) if each.name in names]
    if command.method is Method.EMPTINESS:
        still = delete_empty(found, this.simulator(), this.ration(command.reason))
        detail = "no node of the command is empty and within budget any more"
        return still or Rejected(RejectionReason.CHURN, detail, command.nodes)
    return _validate_consolidation(command, found, this)


def _validate_consolidation(command: Command, found: Sequence[Candidate], this: _Pass) -> Command | Rejected:
    """The command without the nodes that may not leave any more, if it is still worth it.

    Upstream drops the whole command. Ours takes many nodes at once, and in a busy cluster one of many always changes.
    """
    eligible = [each for each in found if spared(each, this.scene, CONSOLIDATION_RULES) is None]
    kept = this.ration(command.reason).take(eligible)
    lost = tuple(sorted(frozenset(command.nodes) - {each.name for each in kept}))
    if not eligible:
        return Rejected(RejectionReason.CHURN, f"no longer a candidate: {', '.join(lost)}", lost)
    if not kept:
        return Rejected(RejectionReason.BUDGET, "the nodes are no longer within their pools' budgets", lost)
    answer = _still_stands(kept, command, this.scene)
    if isinstance(answer, Rejected) and lost:
        reason = RejectionReason.CHURN if len(eligible) < len(command.candidates) else RejectionReason.BUDGET
        return Rejected(reason, f"without {', '.join(lost)}: {answer.detail}", lost)
    return answer


def _still_stands(eligible: Sequence[Candidate], command: Command, scene: Scene) -> Command | Rejected:
    """The very command where some care comes to it again, else what saves most with no more machines than before.

    Care takes long, so it is taken only where less of it would save less than the command did.
    """
    most, best, detail = len(command.replacements), None, ""
    for care in (Care.QUICK, Care.UPSTREAM, Care.THOROUGH) if scene.policy.n_to_m else (Care.UPSTREAM,):
        if care is Care.THOROUGH and best is not None and not _is_worth_care(best, command):
            break
        again = Evaluator(scene, care).judge(eligible)
        if isinstance(again, Proposal) and len(again.claims) <= most:
            if again.command() == command:
                return command
            best = again if best is None or again.savings > best.savings else best
        elif not detail and isinstance(again, Proposal):
            detail = f"would now need {len(again.claims)} machines instead of {most}"
        elif not detail and isinstance(again, Refused):
            detail = again.detail
    if best is not None:
        return best.command()
    return Rejected(RejectionReason.SCHEDULING, detail, tuple(each.name for each in eligible))


def _is_worth_care(found: Proposal, command: Command) -> bool:
    """Whether the command may have been made with more care than the proposal was."""
    saved = command.savings
    return bool(found.claims) and found.moves <= VERY_MANY_PODS and saved is not None and found.savings < saved


@dataclass(slots=True)
class _Pass:
    """One pass: what the methods share, worked out when first needed."""

    scene: Scene
    memory: Memory
    stays: dict[str, Stay] = field(default_factory=dict)
    eligible: dict[DisruptionReason, int] = field(default_factory=dict)
    weighed: tuple[Weighed, ...] = ()
    is_cut_short: bool = False
    _graceful: list[Candidate] | None = None
    _rations: dict[DisruptionReason, Ration] = field(default_factory=dict)
    _simulator: Simulator | None = None

    def run(self) -> Verdict:
        """The verdict of the pass."""
        command = self._empty() or self._drifted() or self._underutilized()
        gone = frozenset(command.nodes) if command is not None else frozenset()
        return Verdict(
            command,
            tuple(self.stays[name] for name in sorted(self.stays) if name not in gone),
            self._blocked(),
            tuple(self._allowances()),
            self.memory,
            self.eligible,
            self.weighed,
            self.is_cut_short,
        )

    def candidates(self, reason: DisruptionReason) -> list[Candidate]:
        """The nodes that may leave for the reason at all, by name; why the others do not is noted."""
        if reason is DisruptionReason.DRIFTED:
            return list(self._ask(self._drift_questions()))
        if self._graceful is None:
            self._graceful = list(self._ask(Question(node, self.scene) for node in self.scene.snapshot.nodes))
        return self._graceful

    def ration(self, reason: DisruptionReason) -> Ration:
        """What each pool has left for the reason."""
        found = self._rations.get(reason)
        if found is None:
            room = allowances(self.scene.snapshot, self.scene.pools.values(), reason, self.scene.now)
            bars = {name: bar_from(pool.meta.annotations).max_moves for name, pool in self.scene.pools.items()}
            limits = {name: most for name, most in bars.items() if most is not None}
            is_graceful = reason is DisruptionReason.UNDERUTILIZED
            found = self._rations[reason] = Ration(room, limits if is_graceful else {})
        return found

    def simulator(self) -> Simulator:
        """The simulations of consolidation, which do not move pods onto young nodes."""
        if self._simulator is None:
            self._simulator = Simulator(self.scene)
        return self._simulator

    def _ask(self, questions: Iterable[Question]) -> Iterable[Candidate]:
        for ask in questions:
            if self.memory.rests(ask.node.name, self.scene.now):
                detail = "a command that took it failed a moment ago"
                self.stays[ask.node.name] = Stay(ask.node.name, StayCode.RESTING, detail)
                continue
            found = candidate(ask)
            if isinstance(found, Candidate):
                yield found
            else:
                self.stays[ask.node.name] = found

    def _drift_questions(self) -> Iterable[Question]:
        return (
            Question(node, self.scene, is_eventual=True)
            for node in self.scene.snapshot.nodes
            if node.claim is not None and node.claim.has(DRIFTED)
        )

    def _empty(self) -> Command | None:
        candidates = self.candidates(DisruptionReason.EMPTY)
        ration = self.ration(DisruptionReason.EMPTY)
        found, _ = empty_nodes(candidates, self.scene)
        self.eligible[DisruptionReason.EMPTY] = len(found)
        if not found:
            return None
        self._note(ration.stay(each) for each in found)
        return delete_empty(candidates, self.simulator(), ration)

    def _drifted(self) -> Command | None:
        candidates = self.candidates(DisruptionReason.DRIFTED)
        self.eligible[DisruptionReason.DRIFTED] = len(candidates)
        if not candidates:
            return None
        ration = self.ration(DisruptionReason.DRIFTED)
        static = replace_drifted_static(candidates, self.scene, ration)
        if static is not None:
            return static
        simulator, tried = Simulator(self.scene, protects_young_nodes=False), self.memory.tried
        outcome = replace_drifted(candidates, simulator, ration, tried)
        waiting = frozenset(each.node for each in outcome.stays if each.code is StayCode.OTHERS_FIRST)
        left = (tried | outcome.stranded) if outcome.command is not None or not waiting <= tried else frozenset()
        self.memory = replace(self.memory, tried=left)
        self.is_cut_short |= outcome.command is None and bool(waiting)
        self._note(outcome.stays)
        return outcome.command

    def _underutilized(self) -> Command | None:
        ration = self.ration(DisruptionReason.UNDERUTILIZED)
        eligible: list[Candidate] = []
        over: list[Stay] = []
        for each in self.candidates(DisruptionReason.UNDERUTILIZED):
            stay = spared(each, self.scene, CONSOLIDATION_RULES)
            if stay is not None:
                self._note((stay,))
            elif (is_over := ration.stay(each)) is not None:
                over.append(is_over)
            else:
                eligible.append(each)
        self._note(over)
        self.eligible[DisruptionReason.UNDERUTILIZED] = len(eligible) + len(over)
        if not eligible:
            return None
        ground = Ground.of(self.scene, eligible, ration)
        before = self.memory.fruitless
        earlier = before if before is not None and before.ground.is_as(ground) else None
        if earlier is not None and not earlier.left:
            self._note(earlier.stays)
            return None
        consolidation = Consolidation(self.scene, ration, self.memory, self._follow, goes_on=earlier is not None)
        proposal = consolidation.choose(eligible)
        self.memory = consolidation.memory
        self.weighed = tuple(consolidation.evaluator.weighed)
        explained = tuple(_explained(each, consolidation.evaluator, found=proposal is not None) for each in eligible)
        search = Fruitless(ground, explained, consolidation.left).after(earlier)
        self.is_cut_short |= bool(search.left)
        self._note(search.stays)
        self.memory = replace(self.memory, fruitless=search if proposal is None else None)
        return proposal.command() if proposal is not None else None

    def _follow(self, command: Command, way: Way) -> End:
        """Where the cluster ends when, after the command, everything is done by this way."""
        scene = self.scene
        policy = replace(scene.policy, way=way, effort=scene.policy.effort // LOOK_AHEAD_SHARE)
        view, steps = apply(command, scene.snapshot, scene.catalog, prefix=AHEAD), list[Foreseen]()
        for step in range(1, 2 * len(scene.snapshot.nodes) + 2):
            ahead = Scene.of(view, scene.catalog, now=scene.now, policy=policy, shared=scene.shared)
            following = _Pass(ahead, Memory()).run().command
            if following is None:
                break
            if following.reason is DisruptionReason.UNDERUTILIZED:
                care = Care.UPSTREAM if way is Way.UPSTREAM else Care.QUICK
                steps.append(foresee(following, ahead, care=care))
            view = apply(following, view, scene.catalog, step=step, prefix=AHEAD)
        return End(price_of(view, scene.types), tuple(steps))

    def _note(self, stays: Iterable[Stay | None]) -> None:
        """Remember why nodes stay; the first reason found is the one that is told."""
        for stay in stays:
            if stay is not None:
                self.stays.setdefault(stay.node, stay)

    def _blocked(self) -> tuple[BudgetBlocked, ...]:
        return tuple(BudgetBlocked(each.pool_name, each.reason) for each in self._allowances() if each.is_blocking)

    def _allowances(self) -> Iterable[Allowance]:
        for reason in DisruptionReason:
            yield from self.ration(reason).allowances.values()


def _explained(each: Candidate, evaluator: Evaluator, *, found: bool) -> Stay:
    """Why the candidate stays although no rule keeps it."""
    alone = evaluator.recall((each,))
    if isinstance(alone, Refused):
        return Stay(each.name, alone.code, alone.detail, Told.UNCONSOLIDATABLE, alone.saving)
    if alone is not None:
        detail = "other nodes save more in this pass"
        return Stay(each.name, StayCode.OTHERS_FIRST, detail, saving=alone.savings)
    detail = "other nodes save more in this pass" if found else "no set of nodes that it is part of saves anything"
    return Stay(each.name, StayCode.OTHERS_FIRST if found else StayCode.NOT_CHEAPER, detail)
