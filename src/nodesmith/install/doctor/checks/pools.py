"""Whether NodePools can launch, within which limits, and what their choice is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Final

from nodesmith.api.likeness import did_you_mean
from nodesmith.decide.lifecycle.pool import usage
from nodesmith.install.doctor.check import (
    Check,
    Group,
    Verdict,
    advised,
    failed,
    judged,
    not_applicable,
    ok,
    over,
    warning,
)
from nodesmith.install.doctor.facts import Facts
from nodesmith.install.doctor.offers import Offered
from nodesmith.install.doctor.seen import NotSeenError, Unseen, need
from nodesmith.model.labels import CAPACITY_TYPE, SPOT, ZONE
from nodesmith.model.nodepool import NodePool
from nodesmith.model.resources import format_resources

_CONDITIONS: Final = ("ValidationSucceeded", "NodeRegistrationHealthy")
_FEW_SPOT_POOLS: Final = 20
_NEARLY: Final = 0.9
_NONE: Final = frozenset({"0", "0%"})


def _pools(facts: Facts) -> tuple[NodePool, ...]:
    if not facts.pools:
        raise NotSeenError("there is no NodePool")
    return facts.pools


def _dynamic(facts: Facts) -> tuple[NodePool, ...]:
    return tuple(each for each in _pools(facts) if not each.is_static and not each.meta.is_deleting)


def _exist(facts: Facts) -> Verdict:
    names = [each.name for each in facts.pools]
    return ok(", ".join(names)) if names else failed("there is no NodePool: no node is ever made")


def _refer(facts: Facts) -> Verdict:
    known = {each.name for each in facts.node_classes}
    problems = []
    for each in _pools(facts):
        name = each.node_class.name
        if each.node_class.kind == "EC2NodeClass" and name not in known:
            hint = did_you_mean(name, known)
            problems.append(f"NodePool {each.name} refers to EC2NodeClass {name}, which is not there. {hint}".rstrip())
    return judged(problems, otherwise="every NodePool's EC2NodeClass is there")


def _valid(facts: Facts) -> Verdict:
    problems = [
        f"NodePool {each.name}: {condition.type}: {condition.message or condition.reason}"
        for each in _pools(facts)
        for kind in _CONDITIONS
        if (condition := each.conditions.get(kind)) is not None and condition.is_false
    ]
    return judged(problems, otherwise="every NodePool is valid")


def _offered(facts: Facts, pool: NodePool) -> Offered:
    return need(facts.offers.get(pool.name, Unseen(f"what NodePool {pool.name} can buy is not known")))


def _can_launch(facts: Facts) -> Verdict:
    problems = over(_dynamic(facts), lambda pool: _offered(facts, pool).never())
    return failed(*problems) if problems else ok(_counted(facts))


def _counted(facts: Facts) -> str:
    return "; ".join(f"NodePool {each.name}: {_offered(facts, each).sold} offerings" for each in _dynamic(facts))


def _has_room(facts: Facts) -> Verdict:
    problems = over(_dynamic(facts), lambda pool: _offered(facts, pool).no_room())
    return judged(problems, otherwise="a pod fits beside the DaemonSets")


def _limits(facts: Facts) -> Verdict:
    nodes = need(facts.cluster.snapshot).nodes
    reached, near = [], []
    for pool in _pools(facts):
        used = usage(pool.name, nodes)
        for name, limit in sorted(pool.limits.items()):
            shown = {
                key: format_resources({name: value})[name] for key, value in (("u", used.get(name, 0)), ("l", limit))
            }
            told = f"NodePool {pool.name}: {shown['u']} of {shown['l']} {name}"
            if used.get(name, 0) >= limit:
                reached.append(told)
            elif used.get(name, 0) >= _NEARLY * limit:
                near.append(told)
    if reached:
        return failed(*reached, *near)
    return advised(near, otherwise="every NodePool is below its limits")


def _limited(facts: Facts) -> Verdict:
    bare = [f"NodePool {each.name} has no limits" for each in _dynamic(facts) if not each.limits]
    return advised(bare, otherwise="every NodePool has limits")


def _ties(facts: Facts) -> Verdict:
    problems = [
        f"NodePools {left.name} and {right.name} both have weight {left.weight} and may buy the same"
        for left, right in combinations(sorted(_dynamic(facts), key=lambda each: each.name), 2)
        if left.weight == right.weight and _overlap(left, right)
    ]
    return advised(problems, otherwise="it is clear which NodePool comes first")


def _overlap(left: NodePool, right: NodePool) -> bool:
    """Whether a pod may go to either: the same taints, and requirements that some machine meets both of."""
    return left.taints == right.taints and left.requirements.intersection_conflict(right.requirements) is None


def _choice(facts: Facts) -> Verdict:
    buying = [each for each in _dynamic(facts) if each.requirements.get(CAPACITY_TYPE).allows(SPOT)]
    if not buying:
        return not_applicable("no NodePool buys spot")
    problems = over(buying, lambda pool: _few_spot_pools(_offered(facts, pool)))
    return advised(problems, otherwise="there are many spot pools to choose from")


def _few_spot_pools(found: Offered) -> Iterator[str]:
    zones = {zone for _, zone in found.spot_pools}
    if found.spot_pools and len(found.spot_pools) < _FEW_SPOT_POOLS:
        kinds = len({name for name, _ in found.spot_pools})
        told = f"{len(found.spot_pools)} spot pools ({kinds} types in {len(zones)} zones)"
        yield f"NodePool {found.pool} has {told}: when they are short, it has none"


def _zones(facts: Facts) -> Verdict:
    zone_of = {each.id: each.zone for each in need(facts.network.subnets)}
    problems = over(_dynamic(facts), lambda pool: _closed_zones(facts, pool, zone_of))
    return judged(problems, otherwise="every NodePool has a zone with a subnet")


def _closed_zones(facts: Facts, pool: NodePool, zone_of: Mapping[str, str]) -> Iterator[str]:
    found = facts.network.found_subnets.get(pool.node_class.name, ())
    zones = {zone_of[each] for each in need(found) if each in zone_of}
    wanted = pool.requirements.get(ZONE)
    if zones and not any(wanted.allows(zone) for zone in zones):
        there = ", ".join(sorted(zones))
        yield f"NodePool {pool.name} wants {wanted}; the subnets of its EC2NodeClass are in {there}"


def _budgets(facts: Facts) -> Verdict:
    problems = [
        f"NodePool {each.name}: a budget of {budget.nodes} always holds: its nodes never leave by themselves"
        for each in _dynamic(facts)
        for budget in each.disruption.budgets
        if budget.nodes in _NONE and budget.schedule is None and budget.reasons is None
    ]
    return advised(problems, otherwise="every NodePool lets nodes leave")


def _never(facts: Facts) -> Verdict:
    problems = [
        f"NodePool {each.name}: consolidateAfter is Never: what is bought stays, used or not"
        for each in _dynamic(facts)
        if each.disruption.consolidate_after is None
    ]
    return warning(*problems) if problems else ok("empty and half-empty nodes go")


def _prices(facts: Facts) -> Verdict:
    caveat = need(facts.price_caveat)
    return warning(caveat) if caveat else ok("prices are AWS's of today")


POOLS: Final = Group(
    "NodePools",
    (
        Check(
            "ND611",
            "There is a NodePool",
            "It says which machines may be bought.",
            "Apply one: examples/ has some, `nodesmith install --pool cheap` makes one.",
            _exist,
        ),
        Check(
            "ND612",
            "NodePools refer to EC2NodeClasses that are there",
            "nodeClassRef.name is misspelt, or the EC2NodeClass was deleted.",
            "Correct spec.template.spec.nodeClassRef.name.",
            _refer,
        ),
        Check(
            "ND613",
            "NodePools are valid",
            "The controller refuses a NodePool that it cannot act on, or none of its nodes registers.",
            "Put right what the condition says; `nodesmith lint` says where.",
            _valid,
        ),
        Check(
            "ND614",
            "NodePools can launch",
            "The requirements contradict each other, or what is sold here: no offering is left.",
            "Widen the requirement that took the last; `nodesmith explain` shows what each removes.",
            _can_launch,
        ),
        Check(
            "ND615",
            "NodePools' machines hold a pod beside the DaemonSets",
            "DaemonSets and the system take all the room of every machine that the NodePool may buy, or limits do.",
            "Allow larger types, make DaemonSets smaller, or raise the limits.",
            _has_room,
        ),
        Check(
            "ND616",
            "NodePools are below their limits",
            "At its limit a NodePool makes no more nodes, and pods stay pending.",
            "Raise spec.limits, or find out what uses so much.",
            _limits,
        ),
        Check(
            "ND617",
            "NodePools have limits",
            "`limit` instead of `limits` is dropped by the API server, and a runaway Deployment costs what it likes.",
            "Set spec.limits.cpu and spec.limits.memory.",
            _limited,
        ),
        Check(
            "ND618",
            "NodePools' zones have subnets",
            "The zones that a NodePool asks for and those of its EC2NodeClass' subnets have none in common.",
            "Add zones to the NodePool, or tag subnets in its zones.",
            _zones,
        ),
        Check(
            "ND619",
            "It is clear which NodePool comes first",
            "With equal weights the name decides, which hardly anybody means.",
            "Give one of them a spec.weight, or taints, or requirements that exclude each other.",
            _ties,
        ),
        Check(
            "ND620",
            "There is choice among spot pools",
            "Spot is cheap while there is somewhere else to go: one family in one zone is soon out.",
            "Allow more families, sizes and zones, and on-demand beside spot.",
            _choice,
        ),
        Check(
            "ND621",
            "Budgets let nodes leave",
            "A budget of 0 without a schedule stops drift, consolidation and upgrades for good.",
            "Give the budget a schedule and a duration, or reasons.",
            _budgets,
        ),
        Check(
            "ND622",
            "Nodes that are not needed go",
            "consolidateAfter: Never keeps empty nodes.",
            "Set spec.disruption.consolidateAfter to a duration.",
            _never,
        ),
        Check(
            "ND623",
            "Prices are known",
            "The price API cannot be reached, or may not be asked: nodes are chosen by prices that were shipped.",
            "Let the controller reach the pricing API and DescribeSpotPriceHistory; with ISOLATED_VPC it cannot.",
            _prices,
        ),
    ),
)
