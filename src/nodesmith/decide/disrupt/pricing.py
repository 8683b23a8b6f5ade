"""Replacements that are sure to be cheaper than what they replace, whichever of their offerings is launched (spec 5.6).

The one thing to know: a claim is judged by its *worst launch price*, so a list of types is narrowed until no launch can
cost more than what leaves. Several replacements share the price of what leaves, in proportion to their cheapest prices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from nodesmith.decide.disrupt.candidates import Candidate
from nodesmith.decide.disrupt.policy import Policy
from nodesmith.decide.disrupt.quotes import PriceList
from nodesmith.decide.disrupt.scene import Scene
from nodesmith.decide.disrupt.spot import ONLY_SPOT, may_only_return
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.labels import CAPACITY_TYPE, ON_DEMAND, RESERVED, SPOT
from nodesmith.model.money import FREE, UsdPerHour, total_price
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.plan.schedule import PlannedClaim
from nodesmith.plan.stay import StayCode


@dataclass(frozen=True, slots=True)
class Refused:
    """An idea that something speaks against. `saving` is what it would have saved, where that is known."""

    code: StayCode
    detail: str
    saving: UsdPerHour | None = None


def min_values_hold(requirements: Requirements, types: Sequence[InstanceType]) -> bool:
    """Whether the types still have as many values of each label as the requirements ask for."""
    for requirement in requirements:
        if requirement.min_values is None:
            continue
        values = {
            value
            for each in types
            for value in each.requirements.get(requirement.key).values
            if requirement.allows(value) and not each.requirements.get(requirement.key).complement
        }
        if len(values) < requirement.min_values:
            return False
    return True


def cheaper(
    candidates: Sequence[Candidate], claims: Sequence[PlannedClaim], scene: Scene
) -> tuple[PlannedClaim, ...] | Refused:
    """The claims, narrowed until they are sure to cost less than the candidates, or why they cannot be.

    All candidates' prices are known.
    """
    leaving = total_price(each.price for each in candidates if each.price is not None)
    if any(each.cheapest.price is None for each in claims):
        return Refused(StayCode.UNPRICED, "Price of the replacement is unknown")
    if total_price(claim.cheapest.price or FREE for claim in claims) >= leaving:
        return Refused(StayCode.NOT_CHEAPER, "Can't replace with a cheaper node")
    all_spot = all(each.capacity_type == SPOT for each in candidates)
    if any(may_only_return(each.pool) for each in candidates):
        claims = [replace(claim, requirements=claim.requirements & ONLY_SPOT) for claim in claims]
    same_types = _prices_by_type(candidates) if len(candidates) > 1 else {}
    narrowed: list[PlannedClaim] = []
    for claim, limit in zip(claims, _limits(claims, leaving), strict=True):
        kept = _narrow(claim, limit, scene, all_spot=all_spot, is_single=len(candidates) == 1, same_types=same_types)
        if isinstance(kept, Refused):
            return kept
        narrowed.append(kept)
    return tuple(narrowed)


def savings_of(candidates: Iterable[Candidate], claims: Iterable[PlannedClaim]) -> UsdPerHour | None:
    """What the exchange saves an hour, claims at their cheapest; None where a price is unknown."""
    before = [each.price for each in candidates]
    after = [claim.cheapest.price for claim in claims]
    if any(price is None for price in (*before, *after)):
        return None
    return total_price(price for price in before if price) - total_price(price for price in after if price)


def _limits(claims: Sequence[PlannedClaim], leaving: UsdPerHour) -> list[UsdPerHour]:
    """Each claim's share of the price of what leaves; the claims stay below in sum when each stays below its own."""
    prices = [claim.cheapest.price.picos if claim.cheapest.price else 0 for claim in claims]
    total = sum(prices)
    if not total:
        return [UsdPerHour(leaving.picos // len(claims))] * len(claims)
    return [UsdPerHour(leaving.picos * price // total) for price in prices]


def _prices_by_type(candidates: Iterable[Candidate]) -> Mapping[str, UsdPerHour]:
    prices: dict[str, UsdPerHour] = {}
    for each in candidates:
        if each.price is not None:
            prices[each.instance_type] = min(prices.get(each.instance_type, each.price), each.price)
    return prices


def _narrow(
    claim: PlannedClaim,
    limit: UsdPerHour,
    scene: Scene,
    *,
    all_spot: bool,
    is_single: bool,
    same_types: Mapping[str, UsdPerHour],
) -> PlannedClaim | Refused:
    types = [found for name in claim.instance_types if (found := scene.types[claim.pool_name].get(name)) is not None]
    requirements = claim.requirements
    is_spot_to_spot = all_spot and requirements.get(CAPACITY_TYPE).allows(SPOT)
    if is_spot_to_spot:
        if not scene.policy.spot_to_spot:
            detail = "SpotToSpotConsolidation is disabled, can't replace a spot node with a spot node"
            return Refused(StayCode.SPOT_TO_SPOT, detail)
        requirements = _pinned(requirements, SPOT)
    else:
        requirements = _one_class(requirements, types, scene.shared.prices)
    quoted = scene.shared.prices.quotes(types, requirements)
    kept = [each for each, quote in quoted if quote.worst < min(limit, same_types.get(each.name, limit))]
    if not kept:
        return Refused(StayCode.NOT_CHEAPER, "Can't replace with a cheaper node")
    if is_spot_to_spot and is_single:
        least = scene.policy.least_spot_types
        if len(kept) < least:
            detail = (
                f"SpotToSpotConsolidation requires {least} cheaper instance type options than the current "
                f"candidate to consolidate, got {len(kept)}"
            )
            return Refused(StayCode.SPOT_TO_SPOT, detail)
        kept = _first_enough(kept, requirements, scene.policy)
    if not min_values_hold(requirements, kept):
        return Refused(StayCode.NOT_CHEAPER, "Filtering by price: minValues requirement is not met")
    names = tuple(each.name for each in kept)
    cheapest = scene.shared.prices.cheapest(kept, requirements) or claim.cheapest
    return replace(claim, requirements=requirements, instance_types=names, cheapest=cheapest)


def _one_class(requirements: Requirements, types: Sequence[InstanceType], prices: PriceList) -> Requirements:
    """The requirements with spot or on-demand, not both: the launch fails rather than buy what was not compared."""
    stated = requirements.get(CAPACITY_TYPE)
    if not (stated.allows(SPOT) and stated.allows(ON_DEMAND)):
        return requirements
    cheapest = prices.cheapest(types, requirements)
    if cheapest is None or cheapest.capacity_type == RESERVED:
        return requirements
    return _pinned(requirements, cheapest.capacity_type)


def _pinned(requirements: Requirements, capacity_type: str) -> Requirements:
    return requirements & Requirements.of((Requirement(CAPACITY_TYPE, frozenset((capacity_type,))),))


def _first_enough(types: list[InstanceType], requirements: Requirements, policy: Policy) -> list[InstanceType]:
    """The cheapest types that breadth asks for, more where minValues needs them: a longer list would churn on."""
    length = min(len(types), policy.least_spot_types)
    while length < len(types) and not min_values_hold(requirements, types[:length]):
        length += 1
    return types[:length]
