"""How to decide which nodes leave: the operator's settings, and each NodePool's own bar beyond upstream's fields."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final

from nodesmith.decide.schedule.problem import Options
from nodesmith.model.money import FREE, UsdPerHour
from nodesmith.model.nodepool import NodePool

MIN_SAVINGS: Final = "nodesmith.dev/min-savings"
"""NodePool annotation: what each moved pod must save at least, in dollars an hour (`0.002`), or the share of the
leaving nodes' price that a command must save at least (`10%`)."""

MAX_MOVES: Final = "nodesmith.dev/max-moves"
"""NodePool annotation: how many of the pool's pods one command may move at most."""

REPLACES_FOR: Final = "nodesmith.dev/replaces-for"
"""NodeClaim annotation: the reason for which the claim was bought in place of other nodes."""

BALANCED_K: Final = 2
"""Balanced: a command is approved when its share of savings is at least 1/k of its share of disruption (spec 5.6)."""

_PERCENT: Final = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)%")
_DOLLARS: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_COUNT: Final = re.compile(r"[0-9]+")


class Way(StrEnum):
    """How consolidation chooses: the best of several ways followed to the end, what saves most now, or as upstream."""

    FARSIGHTED = "farsighted"
    GREEDY = "greedy"
    UPSTREAM = "upstream"


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's settings for disruption.

    `n_to_m` off means upstream's way: at most one machine is bought, and machines are filled as upstream fills them.
    `calm` is how long a node that was bought to replace others is not replaced again for the same reason. `effort`
    bounds the simulations of one decision: it is counted, not timed, so that the same snapshot gives the same answer.
    `foresight` is for how many candidates at most ways are followed to the end before a step is taken; among more of
    them, what one step spoils the next ones even out.
    `queued` are the provider ids of nodes that a command is taking already, `buffered` the nodes that are kept free.
    """

    options: Options = field(default_factory=Options)
    spot_to_spot: bool = False
    least_spot_types: int = 15
    calm: timedelta = timedelta(hours=1)
    way: Way = Way.FARSIGHTED
    n_to_m: bool = True
    effort: int = 12_000
    foresight: int = 30
    queued: frozenset[str] = frozenset()
    buffered: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Bar:
    """What a command must be worth to a pool. A bar that cannot be read lets nothing pass that moves pods."""

    per_move: UsdPerHour = FREE
    share: float = 0.0
    max_moves: int | None = None
    is_readable: bool = True


def bar_of(pool: NodePool) -> Bar:
    """The pool's bar, from its annotations."""
    savings = pool.meta.annotations.get(MIN_SAVINGS, "").strip()
    moves = pool.meta.annotations.get(MAX_MOVES, "").strip()
    if (moves and not _COUNT.fullmatch(moves)) or (savings and not _is_savings(savings)):
        return Bar(is_readable=False)
    max_moves = int(moves) if moves else None
    percent = _PERCENT.fullmatch(savings)
    if percent:
        return Bar(share=float(percent["number"]) / 100, max_moves=max_moves)
    return Bar(per_move=UsdPerHour.of(savings) if savings else FREE, max_moves=max_moves)


def _is_savings(text: str) -> bool:
    return bool(_PERCENT.fullmatch(text) or _DOLLARS.fullmatch(text))
