"""Savings against pods moved: the curve from which a person chooses how much disturbance a saving is worth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from nodesmith.decide.disrupt.budgets import allowances
from nodesmith.decide.disrupt.candidates import Candidate, Question, candidate
from nodesmith.decide.disrupt.evaluate import Evaluator, Proposal
from nodesmith.decide.disrupt.policy import Policy
from nodesmith.decide.disrupt.pressure import pressure
from nodesmith.decide.disrupt.rationing import Ration
from nodesmith.decide.disrupt.scene import Scene
from nodesmith.decide.disrupt.search import Search
from nodesmith.decide.disrupt.sparing import CONSOLIDATION_RULES, spared
from nodesmith.decide.schedule.problem import Catalog
from nodesmith.model.nodepool import DisruptionReason
from nodesmith.plan.command import Command
from nodesmith.state.snapshot import Snapshot


def frontier(
    snapshot: Snapshot, catalog: Catalog, *, now: datetime, policy: Policy | None = None
) -> tuple[Command, ...]:
    """Commands of which none saves more while moving fewer pods than another, by pods moved; all within budgets."""
    scene = Scene.of(snapshot, catalog, now=now, policy=policy or Policy())
    asked = (candidate(Question(node, scene)) for node in snapshot.nodes)
    eligible = [
        each for each in asked if isinstance(each, Candidate) and spared(each, scene, CONSOLIDATION_RULES) is None
    ]
    ration = Ration(allowances(snapshot, scene.pools.values(), DisruptionReason.UNDERUTILIZED, now))
    relaxed = pressure(eligible, scene, ration)
    search = Search(Evaluator(scene), ration, relaxed, scene.policy.effort)
    search.consider(_prefixes(ration.take(relaxed.order(eligible, by_disruption=True))))
    search.run(eligible)
    return tuple(each.command() for each in _undominated(search.found))


def _prefixes(order: Sequence[Candidate]) -> Iterator[Sequence[Candidate]]:
    """Beginnings of the order, each about half as long again as the one before."""
    size = 1
    while size < len(order):
        yield order[:size]
        size += 1 + size // 2
    yield order


def _undominated(proposals: Iterable[Proposal]) -> list[Proposal]:
    kept: list[Proposal] = []
    for each in sorted(proposals, key=lambda one: (one.moves, -one.savings.picos, len(one.candidates))):
        if not kept or each.savings > kept[-1].savings:
            kept.append(each)
    return kept
