"""Whether every pod is accounted for once, and the two halves of the plan agree."""

from __future__ import annotations

from collections.abc import Iterator

from nodesmith.decide.schedule.validate.case import Case
from nodesmith.decide.schedule.validate.violation import Code, Violation, claim_name
from nodesmith.plan.schedule import OnClaim


def check_entries(case: Case) -> Iterator[Violation]:
    """What is wrong with the list of pods."""
    placements, claims = case.plan.placements, case.plan.claims
    for key in case.pods:
        if key not in placements:
            yield Violation(Code.POD_MISSING, (key,), "was to be placed and is not mentioned")
    for key, placement in placements.items():
        if key not in case.pods:
            yield Violation(Code.POD_UNKNOWN, (key,), "is not to be placed")
        if isinstance(placement, OnClaim) and not 0 <= placement.index < len(claims):
            yield Violation(Code.CLAIM_INDEX, (key, claim_name(placement.index)), f"there are {len(claims)} claims")
    for index, claim in enumerate(claims):
        placed = sorted(case.keys_on_claim.get(index, ()))
        if not placed:
            yield Violation(Code.CLAIM_EMPTY, (claim_name(index),), "holds no pod")
        listed = sorted(claim.pods)
        if placed != listed:
            for key in sorted({*placed} ^ {*listed}) or sorted({*listed}):
                detail = "listed by the claim only" if key in listed else "placed there, not listed by the claim"
                yield Violation(Code.CLAIM_PODS, (claim_name(index), key), detail)
