"""How claims whose zone, or another topology label, is still open had best turn out.

The plan stands if there is a way that satisfies every rule. Plans of ours leave open only what no rule looks at, so
this is a search with a small budget: claims that no rule looks at go where others are anyway; then claim by claim what
leaves the least wrong; then single changes that help.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nodesmith.decide.schedule.validate.classes import Classes, PodClass
from nodesmith.decide.schedule.validate.company import Affinity, anti_affinity_problems
from nodesmith.decide.schedule.validate.places import Place
from nodesmith.decide.schedule.validate.spread import Open, Spread
from nodesmith.model.labels import HOSTNAME

_MOST_WORK: Final = 60_000
"""How many pods are looked at in all, before the best way so far is judged."""


class Choice:
    """The open claims among some places."""

    def __init__(self, classes: Classes, places: Sequence[Place], opened: Open) -> None:
        self._classes = classes
        self._places = places
        self._open = opened
        self._settled = [place for place in places if len(place.options) == 1]
        unsettled = [place for place in places if len(place.options) > 1]
        involved = self._involved() if unsettled else frozenset[PodClass]()
        self._undecided = [place for place in unsettled if not involved.isdisjoint(place.new)]
        self._bystanders = [place for place in unsettled if involved.isdisjoint(place.new)]
        self._trials = _MOST_WORK // max(1, sum(sum(place.new.values()) for place in places))

    def choose(self) -> None:
        """Take for each open claim an option that leaves as little wrong as can be found."""
        self._settle_bystanders()
        if not self._undecided or not self._weight(self._places):
            return
        self._build_up()
        self._settle_bystanders()
        self._improve()

    def _involved(self) -> frozenset[PodClass]:
        """The classes in some rule about another label than the host name: only to them it matters what is chosen."""
        owners: set[PodClass] = set()
        others: dict[int, list[PodClass]] = {}
        for known in list(self._classes):
            for spread in known.spreads:
                if spread.topology_key != HOSTNAME:
                    owners.add(known)
                    counted = self._classes.counted(known.namespace, spread.selector)
                    others[id(counted)] = counted
            for term in (*known.spec.required_affinity, *known.spec.required_anti_affinity):
                if term.topology_key != HOSTNAME:
                    owners.add(known)
                    selected = self._classes.selected(term)
                    others[id(selected)] = selected
        return frozenset(owners.union(*others.values()))

    def _settle_bystanders(self) -> None:
        """Let claims that no rule looks at go where others are, so that they open up no domain."""
        if not self._bystanders:
            return
        taken = {label for place in (*self._settled, *self._undecided) for label in place.option.values.items()}
        for place in self._bystanders:
            place.chosen = next(
                (number for number, option in enumerate(place.options) if taken.issuperset(option.values.items())), 0
            )

    def _build_up(self) -> None:
        """Put the undecided claims down one after the other, each where it leaves the least wrong."""
        decided = list(self._settled)
        for place in sorted(self._undecided, key=lambda place: len(place.options)):
            decided.append(place)
            if self._trials < len(place.options):
                return
            weights = []
            for number in range(len(place.options)):
                place.chosen = number
                weights.append((self._weight(decided), number))
            place.chosen = min(weights)[1]

    def _improve(self) -> None:
        """Change one claim at a time as long as that helps."""
        weight, improved = self._weight(self._places), True
        while weight and improved:
            improved = False
            for place in self._undecided:
                for number in range(len(place.options)):
                    if self._trials <= 0:
                        return
                    kept, place.chosen = place.chosen, number
                    trial = self._weight(self._places) if number != kept else weight
                    improved = improved or trial < weight
                    if trial < weight:
                        weight = trial
                    else:
                        place.chosen = kept

    def _weight(self, places: Sequence[Place]) -> int:
        """How much is wrong."""
        self._trials -= 1
        anti = sum(excess for excess, _ in anti_affinity_problems(self._classes, places))
        lonely = sum(1 for _ in Affinity(self._classes, places).problems())
        uneven = sum(excess for _, excess, _ in Spread(self._classes, places, self._open).problems())
        return anti + lonely + uneven
