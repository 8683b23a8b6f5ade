"""Consolidation as upstream does it: by worth, the longest beginning that can leave together, else the first that can.

It is one of the ways that are followed to the end before a command is taken, so the end is never dearer than
upstream's; and it is the way where an operator asks for upstream's behaviour.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nodesmith.decide.disrupt.candidates import Candidate
from nodesmith.decide.disrupt.evaluate import Evaluator, Proposal
from nodesmith.decide.disrupt.rationing import Ration

MOST_AT_ONCE: Final = 100
"""Nodes that upstream looks at together."""


def upstream_proposal(evaluator: Evaluator, ration: Ration, candidates: Sequence[Candidate]) -> Proposal | None:
    """What multi-node consolidation finds, or else single-node consolidation (spec 5.6)."""
    order = sorted(candidates, key=lambda each: (-each.worth, each.name))
    several = _longest_beginning(evaluator, ration.take(order)[:MOST_AT_ONCE])
    if several is not None:
        return several
    for each in order:
        if ration.left(each.pool.name):
            found = evaluator.judge((each,))
            if isinstance(found, Proposal):
                return found
    return None


def _longest_beginning(evaluator: Evaluator, order: Sequence[Candidate]) -> Proposal | None:
    """The longest beginning of the order, of two at least, that bisecting finds."""
    best: Proposal | None = None
    low, high = 2, len(order)
    while low <= high:
        middle = (low + high + 1) // 2
        found = evaluator.judge(order[:middle])
        if isinstance(found, Proposal):
            best, low = found, middle + 1
        else:
            high = middle - 1
    return best
