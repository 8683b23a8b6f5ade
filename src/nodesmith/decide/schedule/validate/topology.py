"""The rules between pods, over all places: which way open claims turn out, and what is wrong then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from nodesmith.decide.schedule.validate.case import Case
from nodesmith.decide.schedule.validate.choice import Choice
from nodesmith.decide.schedule.validate.classes import Classes, PodClass, hard_rules, selectors
from nodesmith.decide.schedule.validate.company import Affinity, anti_affinity_problems
from nodesmith.decide.schedule.validate.order import is_reachable
from nodesmith.decide.schedule.validate.places import Place, PlaceBuilder
from nodesmith.decide.schedule.validate.shape import repelling
from nodesmith.decide.schedule.validate.spread import Open, Spread
from nodesmith.decide.schedule.validate.violation import Code, Violation
from nodesmith.model.labels import HOSTNAME
from nodesmith.model.pod import PodSpec
from nodesmith.model.requirements import Requirement, Requirements


def check_topology(case: Case) -> Iterator[Violation]:
    """What is wrong with the company that pods keep.

    Where labels of claims are still open the plan stands if there is a way for them to turn out that satisfies every
    rule.
    """
    ruling = _ruling_specs(case)
    if not ruling:
        return
    keys = {rule.topology_key for spec in ruling for rule in hard_rules(spec)} - {HOSTNAME}
    looked_at = {expression.key for selector in selectors(ruling) for expression in selector.expressions}
    classes = Classes(looked_at, case.problem.snapshot.namespaces)
    places = PlaceBuilder(case, classes, keys).all()
    owners = dict.fromkeys(known for place in places for known in place.new if known.spreads)
    opened = open_domains(case, owners)
    Choice(classes, places, opened).choose()
    found = [violation for _, violation in anti_affinity_problems(classes, places)]
    found += Affinity(classes, places).problems()
    found += _spread_problems(classes, places, opened)
    yield from sorted(found)


def _ruling_specs(case: Case) -> list[PodSpec]:
    """The specs with rules that can matter: of the plan's pods, and anti-affinity of those that run already."""
    placed = (pod for pods in (*case.on_claim.values(), *case.on_node.values()) for pod in pods)
    specs = {id(pod.spec): pod.spec for pod in placed if hard_rules(pod.spec)}
    if case.on_node or case.on_claim:
        for room in case.rooms.values():
            specs.update((id(pod.spec), pod.spec) for pod in room.staying if pod.spec.required_anti_affinity)
    return list(specs.values())


def _spread_problems(classes: Classes, places: Sequence[Place], opened: Open) -> list[Violation]:
    """The domains that are too full for any order of placement."""
    spread = Spread(classes, places, opened)
    problems = list(spread.problems())
    keyless = [violation for _, _, violation in problems if violation.code is Code.SPREAD_KEY]
    skewed = [(known, violation) for known, _, violation in problems if violation.code is Code.SPREAD_SKEW]
    if not skewed or is_reachable(spread, dict.fromkeys(known for known, _ in skewed)):
        return keyless
    with_nodes_only = Spread(classes, places, {}).problems()
    if not any(violation.code is Code.SPREAD_SKEW for _, _, violation in with_nodes_only):
        return keyless + [Violation(Code.SPREAD_UNIVERSE, each.objects, each.detail) for _, each in skewed]
    return keyless + [violation for _, violation in skewed]


def open_domains(case: Case, owners: Iterable[PodClass]) -> Open:
    """Where a new node could take pods of these classes, for what they spread over except hosts."""
    found: dict[tuple[PodClass, str], frozenset[str]] = {}
    reach = _Reach(case)
    for known in owners:
        for constraint in known.spreads:
            key = constraint.topology_key
            if key != HOSTNAME and (known, key) not in found:
                found[known, key] = reach.domains(known, key)
    return found


class _Reach:
    """In which domains a new node could be opened for a pod."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._known: dict[tuple[object, ...], frozenset[str]] = {}

    def domains(self, known: PodClass, key: str) -> frozenset[str]:
        """The values of the label that some NodePool could give to a node for the class's pods."""
        memo = (known.constraint, known.spec.requests, known.spec.tolerations, key)
        if memo not in self._known:
            values = {value for name in self._case.pools for value in self._of_pool(name, known, key)}
            self._known[memo] = frozenset(value for value in values if _may_be(known, key, value))
        return self._known[memo]

    def _of_pool(self, name: str, known: PodClass, key: str) -> Iterator[str]:
        pool, market = self._case.pools[name], self._case.market(name)
        if market is None or pool.is_static or pool.meta.is_deleting:
            return
        if repelling(pool.taints, known.spec.tolerations) is not None:
            return
        shape = self._case.shape(pool, market, Requirements())
        need = market.amounts([dict(known.spec.requests)])[0]
        fitting = (need <= market.allocatable).all(axis=1)
        mask = shape.outcomes & fitting[market.owner]
        mask &= market.satisfies(known.constraint, shape.asked, surely=False)
        if market.settles(key):
            codes, values = market.offering_labels(key)
            yield from (value for code in np.unique(codes[mask]) if (value := values[int(code)]) is not None)
            return
        codes, possible = market.possible(key, shape.asked)
        for code in np.unique(codes[market.owner[mask]]):
            label = possible[int(code)]
            if label is not None and not label.complement:
                yield from label.values


def _may_be(known: PodClass, key: str, value: str) -> bool:
    """Whether the class's pods may be on a node whose label has this value."""
    constraint = known.constraint
    return _allows(constraint.selector, key, value) and (
        not constraint.terms or any(term and _allows(term, key, value) for term in constraint.terms)
    )


def _allows(requirements: Sequence[Requirement], key: str, value: str) -> bool:
    return all(wanted.allows(value) for wanted in requirements if wanted.key == key)
