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
                if not self.suffices(template, here):
                    kept[part] &= ~here
        return kept

    def most(self, template: Template, offerings: Flags, used: Amounts, request: Amounts, most: int) -> int:
        """How many more pods of the request, up to `most`, leave enough values beside what is used."""
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
