"""Who is counted where: classes, counters, the rules of every stance, and the counts to begin with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from nodesmith.decide.schedule.classes import PodClass, Stance
from nodesmith.decide.schedule.grouping import Gathered
from nodesmith.decide.schedule.standing import Positions
from nodesmith.decide.schedule.topology import (
    AffinityRule,
    Counter,
    Counters,
    HostRule,
    NodeFilter,
    Rules,
    SpreadRule,
    Tally,
)
from nodesmith.decide.schedule.universe import Codes, Flags
from nodesmith.model.labels import HOSTNAME
from nodesmith.model.pod import TopologySpreadConstraint
from nodesmith.model.selector import LabelSelector

if TYPE_CHECKING:
    from nodesmith.decide.schedule.world import World


@dataclass(slots=True)
class Watched:
    """What goes by a counter of domains: spread constraints, those of them that no pod gives up, and affinity."""

    spread: set[SpreadRule] = field(default_factory=set)
    hard: set[SpreadRule] = field(default_factory=set)
    has_company: bool = False


@dataclass(frozen=True, slots=True)
class CountedOn:
    """Where the pods count that a counter with a filter selects; `admitted` are offers whatever labels they lack."""

    nodes: Flags
    offers: Flags
    admitted: Flags
    is_choosy: bool


class RuleBook:
    """The rules between the pods of a world.

    `touches` are, by class, the counters that a placed pod of it counts in; `choosy` those of them that do not count
    it on every machine. `watched` are, by counter, what goes by it.
    `codes` are, by key and bin or offer, the domain; `domains` the values by key, in the order of their codes.
    `of_family` are rules that stand for all of their family.
    `could_be_narrower` says whether some spread would count fewer domains in a narrow world.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._counters = Counters()
        self._standing = world.ground.standing
        self._stays = self._standing.staying(world.problem)
        self._declare()
        self._by_label = _LabelIndex(self._counters.all)
        self._selected: dict[tuple[str, frozenset[tuple[str, str]]], frozenset[int]] = {}
        self.classes, signatures = self._classes(world.grouping.raw)
        self.domains: dict[str, list[str]] = {}
        self._codes_of_nodes: dict[str, Codes] = {}
        self._codes_of_offers: dict[str, Codes] = {}
        self._codes_of_offer: dict[int, Mapping[str, int]] = {}
        for counter in self._counters.all:
            if not counter.by_host and counter.key not in self.domains:
                self._encode(counter.key)
        self._eligible_codes: dict[tuple[str, int, int], tuple[int, ...]] = {}
        self._filters = {
            id(counter.filter): self._counted_on(counter.filter)
            for counter in {id(each.filter): each for each in self._counters.all}.values()
            if counter.filter is not None
        }
        self.could_be_narrower = False
        self._families: dict[object, int] = {}
        self.of_family: list[Rules] = []
        self.touches: list[list[Counter]] = []
        self.rules: list[list[Rules]] = []
        for each, signature in zip(self.classes, signatures, strict=True):
            touched = self._touched(each, signature)
            self.touches.append(touched)
            ladder = [self._rules(each, stance, signature) for stance in each.stances]
            counted = [counter.key for counter in touched if not counter.by_host]
            for rules in ladder:
                rules.kept = tuple(dict.fromkeys((*counted, *rules.keys)))
            self.rules.append(ladder)
        self.choosy: list[list[Counter]] = [list(filter(self._is_choosy, touched)) for touched in self.touches]
        self.watched = self._watched()
        self.start = self._first_tally()

    @property
    def counters(self) -> Sequence[Counter]:
        """All counters, by index."""
        return self._counters.all

    def node_code(self, key: str, node: int) -> int:
        """The domain of a node; -1 without the label."""
        return int(self._codes_of_nodes[key][node])

    def offer_code(self, key: str, offer: int) -> int:
        """The domain of an offer; -1 without the label."""
        return int(self._codes_of_offers[key][offer])

    def codes_of_node(self, node: int) -> Mapping[str, int]:
        """The domain of a node, by key; -1 without the label."""
        return {key: int(codes[node]) for key, codes in self._codes_of_nodes.items()}

    def codes_of_offer(self, offer: int) -> Mapping[str, int]:
        """The domain of an offer, by key; -1 without the label."""
        known = self._codes_of_offer.get(offer)
        if known is None:
            known = {key: int(codes[offer]) for key, codes in self._codes_of_offers.items()}
            self._codes_of_offer[offer] = known
        return known

    def codes(self, key: str) -> tuple[Codes, Codes]:
        """The domains of all nodes and of all offers; -1 without the label."""
        return self._codes_of_nodes[key], self._codes_of_offers[key]

    def offers_in(self, key: str, allowed: Sequence[bool]) -> Flags:
        """By offer: those in an allowed domain of the key; the last flag is for those without the label."""
        in_domain: Flags = np.array(allowed, dtype=np.bool_)[self._codes_of_offers[key]]
        return in_domain

    def offers_at(self, key: str, code: int) -> Flags:
        """By offer: those in the domain of the key; for -1 those without the label."""
        at: Flags = self._codes_of_offers[key] == code
        return at

    def counts_node(self, counter: Counter, node: int) -> bool:
        """Whether pods on the node count."""
        return counter.filter is None or bool(self._filters[id(counter.filter)].nodes[node])

    def counts_offer(self, counter: Counter, offer: int) -> bool:
        """Whether pods on a machine of the offer count."""
        if counter.filter is None:
            return True
        counted = self._filters[id(counter.filter)]
        return not counted.is_choosy or bool(counted.offers[offer])

    def offers_counted(self, counter: Counter) -> Flags:
        """By offer: those on which pods count, for a counter with a filter."""
        return self._filters[id(counter.filter)].offers

    def _watched(self) -> dict[int, Watched]:
        """The counters of domains on which a pod that has its place relies."""
        watched: dict[int, Watched] = defaultdict(Watched)
        for ladder in self.rules:
            for rules in ladder:
                for company in rules.affinity:
                    watched[company.counter.index].has_company = True
                for rule in rules.spread:
                    watched[rule.counter.index].spread.add(rule)
            for rule in ladder[-1].spread:
                watched[rule.counter.index].hard.add(rule)
        return dict(watched)

    def _counted_on(self, node_filter: NodeFilter) -> CountedOn:
        admitted = self._world.filter_offers(node_filter)
        labelled = [self._codes_of_offers[key] >= 0 for key in node_filter.keys if key != HOSTNAME]
        offers = np.logical_and.reduce([admitted, *labelled])
        return CountedOn(self._world.filter_nodes(node_filter), offers, admitted, not offers.all())

    def _is_choosy(self, counter: Counter) -> bool:
        return counter.filter is not None and self._filters[id(counter.filter)].is_choosy

    def _declare(self) -> None:
        """Every counter that some pod to place, or some anti-affinity of a running one, calls for."""
        for gathered in self._world.grouping.raw:
            for stance in gathered.stances:
                for constraint in stance.spread:
                    self._counters.for_spread(constraint, stance, gathered.namespace)
                for term in (*stance.affinity, *stance.anti_affinity):
                    self._counters.for_term(term)
            for term in gathered.spec.required_anti_affinity:
                self._counters.for_term(term, owners=True)
        for index, kind in enumerate(self._standing.kinds):
            if kind.anti_affinity and len(self._standing.nodes_of(index, self._stays)):
                for term in kind.anti_affinity:
                    self._counters.for_term(term, owners=True)

    def _classes(self, raw: Iterable[Gathered]) -> tuple[list[PodClass], list[frozenset[int]]]:
        """Gathered pods that no counter tells apart, merged; and the counters that select each class."""
        merged: dict[object, PodClass] = {}
        signatures: list[frozenset[int]] = []
        for each in raw:
            signature = self._selected_by(each.namespace, each.labels)
            has_rules = any(stance.has_rules for stance in each.stances)
            namespace = each.namespace if has_rules else ""
            apart = each.pods[0].key if each.spec.volumes else ""
            identity = (id(each.stances), signature, namespace, each.is_mover, apart)
            found = merged.get(identity)
            if found is None:
                found = merged[identity] = PodClass(
                    len(signatures), each.spec, each.namespace, dict(each.labels), each.stances, each.is_mover
                )
                signatures.append(signature)
            found.pods.extend(each.pods)
        classes = sorted(merged.values(), key=lambda found: found.index)
        return classes, signatures

    def _selected_by(self, namespace: str, labels: Mapping[str, str]) -> frozenset[int]:
        key = (namespace, frozenset(labels.items()))
        found = self._selected.get(key)
        if found is None:
            namespaces = self._world.problem.snapshot.namespaces
            found = self._selected[key] = frozenset(
                counter.index
                for counter in self._by_label.candidates(labels)
                if counter.selects(namespace, labels, namespaces)
            )
        return found

    def _touched(self, each: PodClass, signature: frozenset[int]) -> list[Counter]:
        counters = self._counters.all
        touched = [counters[index] for index in sorted(signature) if not counters[index].counts_owners]
        touched += [self._counters.for_term(term, owners=True) for term in each.spec.required_anti_affinity]
        return touched

    def _rules(self, each: PodClass, stance: Stance, signature: frozenset[int]) -> Rules:
        rules = Rules()
        for constraint in stance.spread:
            self._add_spread(rules, constraint, stance, each, signature)
        for term in stance.affinity:
            counter = self._counters.for_term(term)
            rule = AffinityRule(counter, bootstraps=counter.index in signature)
            (rules.host_affinity if counter.by_host else rules.affinity).append(rule)
        shunned = [(self._counters.for_term(term), True) for term in stance.anti_affinity]
        shunned += [(self._counters.all[index], False) for index in sorted(signature) if self._repels(index)]
        owned = {self._counters.for_term(term, owners=True).index for term in each.spec.required_anti_affinity}
        for counter, is_own_term in shunned:
            if counter.by_host:
                own = counter.index in (signature if is_own_term else owned)
                rules.hosts.append(HostRule(counter, 0, own))
            else:
                rules.shunned.append(counter)
        found = [spread.counter.key for spread in rules.spread] + [company.counter.key for company in rules.affinity]
        rules.keys = tuple(dict.fromkeys((*found, *(counter.key for counter in rules.shunned))))
        rules.family = self._families.setdefault(rules.identity, len(self._families))
        if rules.family == len(self.of_family):
            self.of_family.append(rules)
        return rules

    def _repels(self, index: int) -> bool:
        return self._counters.all[index].counts_owners

    def _add_spread(
        self,
        rules: Rules,
        constraint: TopologySpreadConstraint,
        stance: Stance,
        each: PodClass,
        signature: frozenset[int],
    ) -> None:
        counter = self._counters.for_spread(constraint, stance, each.namespace)
        own = 1 if counter.index in signature else 0
        if counter.by_host:
            rules.hosts.append(HostRule(counter, constraint.max_skew - own, bool(own), constraint.min_domains or 0))
            return
        eligible = self._eligible(counter, stance, each)
        rules.spread.append(SpreadRule(counter, constraint.max_skew, own, constraint.min_domains or 0, eligible))

    def _eligible(self, counter: Counter, stance: Stance, each: PodClass) -> tuple[int, ...]:
        """The domains whose least count matters: of nodes that take part, and of nodes that could be had."""
        if counter.filter is None:
            return ()
        world = self._world
        request = world.dimensions.vector(dict(each.spec.requests))
        opened = world.openable_offers(stance.selectors, stance.tolerations, request)
        key = (counter.key, id(counter.filter), id(opened))
        known = self._eligible_codes.get(key)
        if known is None:
            known = self._eligible_codes[key] = self._domains_counted(counter, opened)
        return known

    def _domains_counted(self, counter: Counter, opened: Flags) -> tuple[int, ...]:
        """Those of nodes that take part, of machines for the counter's own pods, and of machines for whomever."""
        counted = self._filters[id(counter.filter)]
        of_nodes, of_offers = self._codes_of_nodes[counter.key], self._codes_of_offers[counter.key]
        own = _present(of_nodes[counted.nodes], of_offers[opened & counted.admitted])
        if self._world.is_narrow:
            return own
        wider = _present(np.array(own, dtype=np.int32), of_offers[self._world.buyable_offers() & counted.offers])
        self.could_be_narrower |= wider != own
        return wider

    def _encode(self, key: str) -> None:
        """The values of a key get codes, in order of name."""
        world = self._world
        of_nodes = world.nodes.values(key)
        of_offers: list[str | None] = []
        for template in world.templates:
            settled = template.value(key)
            of_offers += [settled] * len(world.universe) if settled is not None else world.universe.values(key)
        leaving = [node.labels.get(key) for node in world.problem.snapshot.nodes if node.is_deleting]
        values = sorted({value for value in (*of_nodes, *of_offers, *leaving) if value is not None})
        index: dict[str | None, int] = {value: code for code, value in enumerate(values)}
        self.domains[key] = values
        self._codes_of_nodes[key] = np.array([index.get(value, -1) for value in of_nodes], dtype=np.int32)
        self._codes_of_offers[key] = np.array([index.get(value, -1) for value in of_offers], dtype=np.int32)

    def _first_tally(self) -> Tally:
        """What runs now, counted; pods that are about to be placed anew are not."""
        world = self._world
        domains = {key: len(values) for key, values in self.domains.items()}
        tally = Tally(self._counters.all, domains, max(64, 2 * len(world.nodes)))
        bins = np.array([world.nodes.index.get(name, -1) for name in self._standing.names], dtype=np.int64)
        for index, kind in enumerate(self._standing.kinds if self._counters.all else ()):
            touched = [self._counters.all[each] for each in self._selected_by(kind.namespace, kind.labels)]
            counters = [counter for counter in touched if not counter.counts_owners]
            if not counters and not kind.anti_affinity:
                continue
            places = bins[self._standing.nodes_of(index, self._stays)]
            places = places[places >= 0]
            if not len(places):
                continue
            counters += [self._counters.for_term(term, owners=True) for term in kind.anti_affinity]
            for counter in counters:
                self._count_running(tally, counter, places)
        return tally

    def _count_running(self, tally: Tally, counter: Counter, places: Positions) -> None:
        """A pod at each of the places is counted, where the counter counts."""
        if counter.filter is not None:
            places = places[self._filters[id(counter.filter)].nodes[places]]
        if counter.by_host:
            np.add.at(tally.hosts[counter.index], places, 1)
            return
        codes = self._codes_of_nodes[counter.key][places]
        table = tally.tables[counter.index]
        for code, count in enumerate(np.bincount(codes[codes >= 0]).tolist()):
            table[code] += count


def _present(*codes: Codes) -> tuple[int, ...]:
    """The domains among the codes, each once, in order."""
    return tuple(np.flatnonzero(np.bincount(np.concatenate(codes) + 1, minlength=1)[1:]).tolist())


class _LabelIndex:
    """Finds the counters whose selector could match given labels without looking at all of them."""

    def __init__(self, counters: Iterable[Counter]) -> None:
        self._by_pair: dict[tuple[str, str], list[Counter]] = defaultdict(list)
        self._others: list[Counter] = []
        for counter in counters:
            if counter.selector is None:
                continue
            pairs = _required_pairs(counter.selector)
            if not pairs:
                self._others.append(counter)
            for pair in pairs:
                self._by_pair[pair].append(counter)

    def candidates(self, labels: Mapping[str, str]) -> Iterable[Counter]:
        """The counters that may select such labels, each once."""
        found = {counter.index: counter for pair in labels.items() for counter in self._by_pair.get(pair, ())}
        found.update((counter.index, counter) for counter in self._others)
        return found.values()


def _required_pairs(selector: LabelSelector) -> list[tuple[str, str]]:
    """One label of these values must be there; nothing when the selector asks for no value."""
    for expression in selector.expressions:
        if expression.operator == "In":
            return [(expression.key, value) for value in expression.values]
    return []
