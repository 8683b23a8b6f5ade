"""What a disruption pass has to say: events on nodes and pools, and numbers (spec 8.2, 8.5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from nodesmith.controllers import tell
from nodesmith.controllers.shell import Shell
from nodesmith.decide.disrupt.verdict import Verdict
from nodesmith.model.nodepool import ConsolidationPolicy, DisruptionReason, NodePool
from nodesmith.plan.command import Command, Decision
from nodesmith.plan.stay import Told
from nodesmith.ports.events import Event
from nodesmith.state.snapshot import Snapshot, StateNode

LONG_SINCE: Final = timedelta(minutes=15)
"""When no pass was made for so long, something is wrong."""


class Telling:
    """Tells what passes found."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._looked_at: datetime | None = None

    def looks(self) -> None:
        """A pass begins; that there was none for long is logged."""
        now, before = self._shell.now(), self._looked_at
        self._looked_at = now
        if before is not None and now - before > LONG_SINCE:
            self._shell.log.warning("abnormal time between disruption passes", elapsed=str(now - before))

    def found(self, snapshot: Snapshot, verdict: Verdict, *, took: float) -> None:
        """The outcome of a pass is told."""
        method = verdict.command.method if verdict.command is not None else None
        self._shell.metrics.observe(
            "voluntary_disruption_decision_evaluation_duration_seconds",
            took,
            reason=method.reason.value.lower() if method is not None else "",
            consolidation_type=method.consolidation_type if method is not None else "",
        )
        nodes = {state.name: state for state in snapshot.nodes}
        for stay in verdict.stays:
            state = nodes.get(stay.node)
            if state is None or stay.told is Told.NOT:
                continue
            self._publish((tell.blocked if stay.told is Told.BLOCKED else tell.unconsolidatable)(state, stay.sentence))
        self._tell_budgets(snapshot.pools, verdict)
        self._tell_consolidation(verdict)
        if verdict.command is not None and verdict.command.reason is DisruptionReason.UNDERUTILIZED:
            self._tell_proposal(verdict.command, snapshot, nodes)

    def not_upheld(self, command: Command, snapshot: Snapshot, why: str) -> None:
        """A command that a later look did not uphold is told to its nodes."""
        self._shell.metrics.count(
            "voluntary_disruption_failed_validations_total", consolidation_type=command.method.consolidation_type
        )
        sentence = f"Consolidation rejected: {command.describe('')}, reason: {why}"
        for state in snapshot.nodes:
            if state.name in command.nodes:
                self._publish(tell.rejected(state, sentence))

    def _tell_budgets(self, pools: Sequence[NodePool], verdict: Verdict) -> None:
        by_name = {pool.name: pool for pool in pools}
        for blocked in verdict.blocked:
            pool = by_name.get(blocked.pool_name)
            if pool is not None:
                self._shell.events.publish(tell.blocking_budget(pool, str(blocked), blocked.reason.value))
        for room in verdict.allowances:
            labels = {"nodepool": room.pool_name, "reason": room.reason.value}
            self._shell.metrics.set("nodepools_allowed_disruptions", room.budget, **labels)
            self._shell.metrics.set("nodepools_nodes_consuming_budgets", room.disrupting, **labels)

    def _tell_consolidation(self, verdict: Verdict) -> None:
        for reason, count in verdict.eligible.items():
            self._shell.metrics.set("voluntary_disruption_eligible_nodes", count, reason=reason.value.lower())
        if verdict.is_cut_short:
            self._shell.metrics.count("voluntary_disruption_consolidation_timeouts_total", consolidation_type="single")
        for each in verdict.weighed:
            labels = {
                "decision": "approved" if each.score.is_approved else "rejected",
                "nodepool": each.pool_name,
                "policy": ConsolidationPolicy.BALANCED.value,
            }
            self._shell.metrics.count("consolidation_moves_total", **labels)
            self._shell.metrics.observe("consolidation_score", each.score.value, **labels)

    def _tell_proposal(self, command: Command, snapshot: Snapshot, nodes: dict[str, StateNode]) -> None:
        """The nodes of a replacement hear of it; what Balanced pools approve of is told to the node, or the pools."""
        leaving = [nodes[name] for name in command.nodes]
        for state in leaving if command.decision is Decision.REPLACE else ():
            self._publish(tell.consolidation_candidate(state, command.describe_to(state.name)))
        pools = {pool.name: pool for pool in snapshot.pools}
        for approval in command.approvals:
            if len(leaving) == 1:
                self._publish(tell.consolidation_approved(leaving[0], approval.sentence))
            else:
                pool = pools[approval.pool_name]
                self._shell.events.publish(tell.consolidation_of_pool_approved(pool, approval.sentence))

    def _publish(self, events: Iterable[Event]) -> None:
        for event in events:
            self._shell.events.publish(event)
