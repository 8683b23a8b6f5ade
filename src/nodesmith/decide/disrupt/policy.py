"""How to decide which nodes leave: the operator's settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final

from nodesmith.decide.schedule.problem import Options

REPLACES_FOR: Final = "nodesmith.dev/replaces-for"
"""NodeClaim annotation: the reason for which the claim was bought in place of other nodes."""

BALANCED_K: Final = 2
"""Balanced: a command is approved when its share of savings is at least 1/k of its share of disruption (spec 5.6)."""


class Way(StrEnum):
    """How consolidation chooses: the best of several ways followed to the end, what saves most now, or as upstream."""

    FARSIGHTED = "farsighted"
    GREEDY = "greedy"
    UPSTREAM = "upstream"


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's settings for disruption.

    `n_to_m` off means upstream's way: at most one machine is bought, and machines are filled as upstream fills them.
    `calm` is how long a node that was bought to replace others is not replaced again for the same reason. `rest` is
    how long a pod's move counts: consolidation moves no pod more than `most_moves` times within it. `effort`
    bounds the simulations of one decision: it is counted, not timed, so that the same snapshot gives the same answer.
    `foresight` is for how many candidates at most ways are followed to the end before a step is taken; among more of
    them, what one step spoils the next ones even out.
    `queued` are the provider ids of nodes that a command is taking already, `buffered` the nodes that are kept free.
    """

    options: Options = field(default_factory=Options)
    spot_to_spot: bool = False
    return_to_spot: bool = False
    least_spot_types: int = 15
    calm: timedelta = timedelta(hours=1)
    rest: timedelta = timedelta(minutes=30)
    most_moves: int = 2
    way: Way = Way.FARSIGHTED
    n_to_m: bool = True
    effort: int = 5_000
    foresight: int = 30
    queued: frozenset[str] = frozenset()
    buffered: frozenset[str] = frozenset()
