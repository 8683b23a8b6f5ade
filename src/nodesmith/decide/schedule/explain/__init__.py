"""Why a pod goes where it goes, or nowhere: what every NodePool has for it, what it fails by, what would help.

Made from the plan and the same facts that the validator looks at, not from what the solver happened to try: so it
answers for pods that were placed as well, and for types that nobody thought of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nodesmith.decide.schedule.explain.asked import POD
from nodesmith.decide.schedule.explain.company import company_rules
from nodesmith.decide.schedule.explain.explanation import PodExplanation, PoolView, WhyNot, to_json
from nodesmith.decide.schedule.explain.views import PoolStudy, study_nodes, study_pool
from nodesmith.decide.schedule.problem import Problem
from nodesmith.decide.schedule.validate.case import Case
from nodesmith.decide.schedule.validate.claims import summed
from nodesmith.model.pod import Pod
from nodesmith.model.resources import format_resources, shortfall
from nodesmith.plan.schedule import OnClaim, OnNode, PlannedClaim, SchedulePlan

_MOST_CHANGES = 5


def explain_pod(problem: Problem, plan: SchedulePlan, key: str, *, why_not: str = "") -> PodExplanation:
    """Why the plan puts the pod where it does; with `why_not`, also why not on that instance type.

    Raises:
        KeyError: when the problem has no pod of that key.
    """
    case = Case(problem, plan)
    pod = case.pods[key]
    rules = company_rules(case, pod)
    pools = sorted(case.pools.values(), key=lambda pool: (-pool.weight, pool.name))
    studies = [study_pool(case, pod, pool, rules) for pool in pools if case.market(pool.name) is not None]
    goes_to, because = _destination(plan, key)
    views = tuple(study.view for study in studies)
    return PodExplanation(
        pod=key,
        goes_to=goes_to,
        because=because,
        is_placed=bool(goes_to),
        nodes=study_nodes(case, pod, rules),
        pools=views,
        changes=() if goes_to else tuple(_changes(views)),
        why_not=tuple(_why_not(case, pod, study, why_not) for study in studies) if why_not else (),
    )


def _destination(plan: SchedulePlan, key: str) -> tuple[str, str]:
    match plan.placements.get(key):
        case OnNode(node):
            return f"node {node}", "it is there, or on its way, and has room: nothing need be bought"
        case OnClaim(index):
            claim = plan.claims[index]
            others = len(claim.pods) - 1
            company = f"with {others} other pods" if others else "alone"
            return _machine(claim), f"{company}; part of the cheapest valid plan that was found"
        case None:
            return "", "the plan does not mention it"
        case unplaced:
            return "", str(unplaced)


def _machine(claim: PlannedClaim) -> str:
    cheapest = claim.cheapest
    price = "at an unknown price" if cheapest.price is None else f"at {cheapest.price}"
    more = f", or one of {len(claim.instance_types) - 1} other types" if len(claim.instance_types) > 1 else ""
    return (
        f"a new node of NodePool {claim.pool_name}: {cheapest.instance_type} {cheapest.capacity_type} in "
        f"{cheapest.zone} {price}{more}"
    )


def _changes(views: Sequence[PoolView]) -> Iterator[str]:
    """What would admit the pod, the smallest interventions first: those on the pod, those that open up most."""
    single = {
        (each.asked_by != POD, -each.without, each.change)
        for view in views
        for each in view.constraints
        if each.without
    }
    if single:
        yield from dict.fromkeys(change for _, _, change in sorted(single)[:_MOST_CHANGES])
        return
    nearest = [view.nearest for view in views if view.nearest is not None]
    if nearest:
        fewest = min(nearest, key=lambda miss: (len(miss.failing), miss.name))
        yield f"no single change: {fewest.name} fails {len(fewest.failing)} constraints ({'; '.join(fewest.failing)})"


def _why_not(case: Case, pod: Pod, study: PoolStudy, name: str) -> WhyNot:
    market = study.asks.market
    number = market.number.get(name)
    if number is None:
        return WhyNot(study.view.pool, name, (), f"NodePool {study.view.pool} has no instance type of this name")
    offerings = [index for index in range(len(market.offerings)) if market.owner[index] == number]
    misses = tuple(study.miss(index) for index in offerings)
    if any(study.fitting[index] for index in offerings):
        return WhyNot(study.view.pool, name, misses, _verdict(case, pod, study.view.pool, name))
    reasons = dict.fromkeys(reason for miss in misses for reason in miss.failing)
    return WhyNot(study.view.pool, name, misses, f"it does not do: {'; '.join(reasons) or 'it has no offerings'}")


def _verdict(case: Case, pod: Pod, pool_name: str, name: str) -> str:
    """Why a type that would take the pod was not the one."""
    place = case.plan.placements.get(pod.key)
    if isinstance(place, OnNode):
        return f"it would do, but node {place.node} has room"
    if not isinstance(place, OnClaim) or case.plan.claims[place.index].pool_name != pool_name:
        return "it would do; the plan buys nothing for the pod from this NodePool"
    claim = case.plan.claims[place.index]
    if name in claim.instance_types:
        rank = claim.instance_types.index(name) + 1
        return f"it would do: it is number {rank} of the {len(claim.instance_types)} types that may be launched"
    kind, shape = case.type_of(claim, name), case.shape_of(claim)
    if kind is None or shape is None or not shape.launchable[shape.market.number[name]]:
        return "it would do for the pod alone, but not for what the pods that share its node ask"
    room = dict(zip(shape.market.resources, shape.room[shape.market.number[name]].tolist(), strict=True))
    lacking = shortfall(summed(each.spec for each in case.on_claim[place.index]), room)
    if lacking:
        return f"it would do for the pod alone; with those that share its node it lacks {format_resources(lacking)}"
    return "it would do, but costs more than the types that the claim lists"


__all__ = ["PodExplanation", "explain_pod", "to_json"]
