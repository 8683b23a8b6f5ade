"""minValues while pods are placed: a machine must stay launchable as enough different things (spec 2, minValues)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from nodesmith.decide.schedule.machines import Template
from nodesmith.decide.schedule.problem import MinValuesPolicy
from nodesmith.decide.schedule.topology import Counter
from nodesmith.decide.schedule.universe import Amounts, Flags, holds
from nodesmith.decide.schedule.world import World


class Diversity:
    """Tells whether enough values are left; under the BestEffort policy there always are."""

    def __init__(self, world: World) -> None:
        self._world = world
        strict = world.problem.options.min_values is MinValuesPolicy.STRICT
        self._wanted: list[dict[str, int]] = [
            {each.key: each.min_values for each in template.pool.requirements if each.min_values} if strict else {}
            for template in world.templates
        ]
        self._memo: dict[tuple[int, bytes], bool] = {}
        self._own: dict[str, Flags] = {}

    @property
    def matters(self) -> bool:
        """Whether any pool asks for a number of values."""
        return any(self._wanted)

    def asks(self, template: Template) -> bool:
        """Whether the template's pool asks for a number of values."""
        return bool(self._wanted[template.index])

    def suffices(self, template: Template, offerings: Flags) -> bool:
        """Whether the types among the template's flagged offerings have as many values as it asks for."""
        wanted = self._wanted[template.index]
        if not wanted:
            return True
        key = (template.index, np.packbits(offerings).tobytes())
        known = self._memo.get(key)
        if known is None:
            kinds = np.unique(self._world.universe.type_of[offerings]).tolist()
            known = self._memo[key] = all(self._values(name, kinds) >= needed for name, needed in wanted.items())
        return known

    def forms(self, offerings: Flags, planned: int) -> tuple[Flags, ...]:
        """What a machine that is planned as one of the offerings may list, in the order in which that is preferred.

        One that draws on a reservation lists what draws on the same, else all types that no other reservation is for,
        else what draws on none, as every other machine does.
        """
        world = self._world
        if not world.reservations:
            return (offerings,)
        unreserved = offerings & ~world.is_reserved
        if not world.is_reserved[planned]:
            return (unreserved,)
        own, kinds = self._drawing_on(world.universe.offerings[planned].reservation_id), world.universe.type_of
        return offerings & own, offerings & ~np.isin(kinds, kinds[world.is_reserved & ~own]), unreserved

    def _drawing_on(self, reservation: str) -> Flags:
        flags = self._own.get(reservation)
        if flags is None:
            flags = self._own[reservation] = np.zeros(len(self._world.universe), dtype=np.bool_)
            flags[self._world.offerings_of_reservation[reservation]] = True
        return flags

    def enough(self, flags: Flags, keys: Sequence[str], counters: Sequence[Counter]) -> Flags:
        """By offer: those flagged that leave enough values when a machine keeps its value of each of the keys.

        It also has to be counted by each of the counters, or not, as it is.
        """
        book, size = self._world.rulebook, len(self._world.universe)
        kept = flags.copy()
        for template in self._world.templates:
            if not self._wanted[template.index]:
                continue
            part = slice(template.index * size, (template.index + 1) * size)
            offers = np.flatnonzero(flags[part])
            domains: dict[tuple[int, ...], list[int]] = {}
            for offering in offers.tolist():
                offer = template.index * size + offering
                codes = (
                    *(book.offer_code(key, offer) for key in keys),
                    *(int(book.counts_offer(counter, offer)) for counter in counters if counter.filter is not None),
                )
                domains.setdefault(codes, []).append(offering)
            for offerings in domains.values():
                here = np.zeros(size, dtype=np.bool_)
                here[offerings] = True
                for offering in self._too_few(template, here, offerings):
                    kept[template.index * size + offering] = False
        return kept

    def _too_few(self, template: Template, here: Flags, offerings: Sequence[int]) -> list[int]:
        """Those of the offerings that leave too few values, when a machine lists no others than the flagged ones."""
        reserved = self._world.is_reserved
        answers: dict[str, bool] = {}
        for offering in offerings:
            drawn_on = self._world.universe.offerings[offering].reservation_id if reserved[offering] else ""
            if drawn_on not in answers:
                answers[drawn_on] = any(self.suffices(template, form) for form in self.forms(here, offering))
        return [
            each
            for each in offerings
            if not answers[self._world.universe.offerings[each].reservation_id if reserved[each] else ""]
        ]

    def most(self, template: Template, forms: Iterable[Flags], used: Amounts, request: Amounts, most: int) -> int:
        """How many more pods of the request, up to `most`, leave one of the forms enough values beside what is used."""
        return max(self._most(template, form, used, request, most) for form in forms)

    def _most(self, template: Template, offerings: Flags, used: Amounts, request: Amounts, most: int) -> int:
        low, high = 0, most
        while low < high:
            middle = (low + high + 1) // 2
            fits = holds(template.room, used + request * middle)[self._world.universe.type_of]
            if self.suffices(template, offerings & fits):
                low = middle
            else:
                high = middle - 1
        return low

    def _values(self, key: str, kinds: Iterable[int]) -> int:
        found: set[str] = set()
        for kind in kinds:
            found |= self._world.universe.types[kind].requirements.get(key).values
        return len(found)
