"""In which domains a pod's company would let it be, with everybody else where the plan has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from nodesmith.decide.schedule.validate.case import Case
from nodesmith.decide.schedule.validate.classes import Classes, PodClass, hard_rules, selectors
from nodesmith.decide.schedule.validate.places import Place, PlaceBuilder
from nodesmith.decide.schedule.validate.spread import Spread
from nodesmith.decide.schedule.validate.topology import open_domains
from nodesmith.model.labels import HOSTNAME
from nodesmith.model.pod import Pod, PodAffinityTerm
from nodesmith.plan.reason import BlockCode
from nodesmith.plan.schedule import SchedulePlan

NEW: Final = "<new>"
"""The host name of a machine yet to be bought."""


@dataclass(frozen=True, slots=True)
class CompanyRule:
    """One rule between the pod and others: about which label, and which values of it are allowed.

    `allowed` None: all but `refused`. A new host is a value that nobody has used.
    """

    code: BlockCode
    key: str
    text: str
    change: str
    allowed: frozenset[str] | None
    refused: frozenset[str] = frozenset()

    def admits(self, value: str | None) -> bool:
        """Whether a node whose label has this value would do; None: it has no such label."""
        if value is None:
            return self.code is BlockCode.POD_ANTI_AFFINITY
        return value in self.allowed if self.allowed is not None else value not in self.refused


def company_rules(case: Case, pod: Pod) -> list[CompanyRule]:
    """What others make of the pod's place, the pod itself taken away from where the plan has it."""
    others = {key: place for key, place in case.plan.placements.items() if key != pod.key}
    without = Case(case.problem, SchedulePlan(others, case.plan.claims))
    running = [each for room in without.rooms.values() for each in room.staying]
    placed = [each for members in (*without.on_claim.values(), *without.on_node.values()) for each in members]
    specs = {id(each.spec): each.spec for each in (pod, *placed, *running)}
    keys = {rule.topology_key for spec in specs.values() for rule in hard_rules(spec)}
    looked_at = {expression.key for selector in selectors(specs.values()) for expression in selector.expressions}
    classes = Classes(looked_at, case.problem.snapshot.namespaces)
    known = classes.of(pod, without.constraint(pod.spec))
    places = PlaceBuilder(without, classes, keys - {HOSTNAME}).all()
    return [
        *_spread_rules(without, classes, places, known),
        *_affinity_rules(classes, places, known),
        *_anti_affinity_rules(classes, places, known),
    ]


def _spread_rules(case: Case, classes: Classes, places: list[Place], known: PodClass) -> Iterator[CompanyRule]:
    if not known.spreads:
        return
    spread = Spread(classes, places, open_domains(case, [known]))
    for rule in spread.rules_of(known):
        key = rule.table.key
        values = {*rule.table.counts, *(value for place in places if (value := place.value(key)) is not None), NEW}
        full = {value for value in values if rule.excess(value, rule.own) > 0}
        least = rule.table.least(rule.constraint.min_domains)
        text = f"spread over {key}: at most {rule.constraint.max_skew} more than {least} in a domain"
        change = f"raise maxSkew above {rule.constraint.max_skew}, or let other domains of {key} take the pod"
        yield CompanyRule(BlockCode.TOPOLOGY_SPREAD, key, text, change, None, frozenset(full))


def _affinity_rules(classes: Classes, places: list[Place], known: PodClass) -> Iterator[CompanyRule]:
    terms = known.spec.required_affinity
    if not terms:
        return
    wanted = frozenset.intersection(*(frozenset(classes.selected(term)) for term in terms))
    present = [place for place in places if wanted & ({*place.new} | {*place.running} | {*place.leaving})]
    if not present and known in wanted:
        for term in terms:
            # The pod may be the first, and a node without the label is still in no domain where others could join it.
            text, change = f"a domain of {term.topology_key}", f"define the label {term.topology_key} in a NodePool"
            yield CompanyRule(BlockCode.POD_AFFINITY, term.topology_key, text, change, None)
        return
    for term in terms:
        there = frozenset(value for place in present if (value := place.value(term.topology_key)) is not None)
        text = f"company by {term.topology_key} of pods {_shown(term)}"
        change = f"run a pod {_shown(term)} where this one may go"
        yield CompanyRule(BlockCode.POD_AFFINITY, term.topology_key, text, change, there)


def _anti_affinity_rules(classes: Classes, places: list[Place], known: PodClass) -> Iterator[CompanyRule]:
    for term in known.spec.required_anti_affinity:
        yield _kept_off(term, _values(places, classes.selected(term), term), f"no pod {_shown(term)}")
    for other in list(classes):
        for term in other.spec.required_anti_affinity:
            if other is not known and known in classes.selected(term):
                owners = f"no pod that keeps off pods {_shown(term)}"
                yield _kept_off(term, _values(places, [other], term), owners)


def _kept_off(term: PodAffinityTerm, values: frozenset[str], whom: str) -> CompanyRule:
    text = f"{whom} in the same {term.topology_key}"
    change = f"free a domain of {term.topology_key}, or ask for it by preference only"
    return CompanyRule(BlockCode.POD_ANTI_AFFINITY, term.topology_key, text, change, None, values)


def _values(places: Iterable[Place], classes: Iterable[PodClass], term: PodAffinityTerm) -> frozenset[str]:
    """The domains in which pods of these classes are."""
    wanted = frozenset(classes)
    return frozenset(
        value
        for place in places
        if wanted & ({*place.new} | {*place.running}) and (value := place.value(term.topology_key)) is not None
    )


def _shown(term: PodAffinityTerm) -> str:
    if term.selector is None:
        return "(none)"
    return (
        ", ".join(f"{each.key} {each.operator} {' '.join(each.values)}".strip() for each in term.selector.expressions)
        or "(any)"
    )
