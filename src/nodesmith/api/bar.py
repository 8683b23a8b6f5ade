"""What a consolidation must be worth to a NodePool: annotations of ours, beside upstream's `spec.disruption`.

The one thing to know: a bar that cannot be read lets nothing pass that moves pods, so lint calls it an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nodesmith.api.fault import Path, Problem, Repair, RepairKind, path_text
from nodesmith.api.kind import Manifest
from nodesmith.api.likeness import closest
from nodesmith.api.walk import is_placeholder, shown
from nodesmith.model.money import FREE, UsdPerHour

INSTALLED_FOR: Final = "nodesmith.dev/installed-for"
"""On everything that `nodesmith install` made; its value is the cluster."""

MADE_AS: Final = "nodesmith.dev/pool"
"""On the NodePool that `nodesmith install` made: which `--pool` it was made by."""

MIN_SAVINGS: Final = "nodesmith.dev/min-savings"
"""NodePool annotation: what each moved pod must save at least, in dollars an hour (`0.002`), or the share of the
leaving nodes' price that a command must save at least (`10%`)."""

MAX_MOVES: Final = "nodesmith.dev/max-moves"
"""NodePool annotation: how many of the pool's pods one command may move at most."""

PREFIX: Final = "nodesmith.dev/"
HINTS: Final[Mapping[str, str]] = {
    MIN_SAVINGS: "dollars an hour for each moved pod, such as `0.002`, or a share of the nodes' price, such as `10%`",
    MAX_MOVES: "how many pods one command may move, such as `20`",
}
_ANNOTATIONS: Final[Path] = ("metadata", "annotations")
_PERCENT: Final = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)%")
_DOLLARS: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_COUNT: Final = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class Bar:
    """What a command must be worth to a pool. A bar that cannot be read lets nothing pass that moves pods."""

    per_move: UsdPerHour = FREE
    share: float = 0.0
    max_moves: int | None = None
    is_readable: bool = True


def bar_from(annotations: Mapping[str, str]) -> Bar:
    """The bar that a pool's annotations set."""
    savings = annotations.get(MIN_SAVINGS, "").strip()
    moves = annotations.get(MAX_MOVES, "").strip()
    if (moves and not _COUNT.fullmatch(moves)) or (savings and not _is_savings(savings)):
        return Bar(is_readable=False)
    max_moves = int(moves) if moves else None
    percent = _PERCENT.fullmatch(savings)
    if percent:
        return Bar(share=float(percent["number"]) / 100, max_moves=max_moves)
    return Bar(per_move=UsdPerHour.of(savings) if savings else FREE, max_moves=max_moves)


def bar_problems(manifest: Manifest) -> Iterator[Problem]:
    """Annotations of ours on a NodePool that are not known, or cannot be read."""
    metadata = manifest.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    for key, value in (annotations if isinstance(annotations, Mapping) else {}).items():
        if isinstance(key, str) and key.startswith(PREFIX) and key not in {INSTALLED_FOR, MADE_AS}:
            yield from _problem((*_ANNOTATIONS, key), key, value)


def _problem(path: Path, key: str, value: Any) -> Iterator[Problem]:
    if key not in HINTS:
        meant = closest(key.removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in HINTS])
        meant = meant and PREFIX + meant
        hint = f"did you mean `{meant}`?" if meant else f"nodesmith reads {' and '.join(HINTS)}"
        repair = Repair(RepairKind.RENAME_KEY, meant) if meant else None
        yield Problem(path, f"`{path_text(path)}`: nobody reads this annotation", hint, repair=repair)
    elif isinstance(value, str) and not is_placeholder(value) and not bar_from({key: value}).is_readable:
        yield Problem(path, f"`{path_text(path)}`: {shown(value)} cannot be read, so no pod would move", HINTS[key])


def _is_savings(text: str) -> bool:
    return bool(_PERCENT.fullmatch(text) or _DOLLARS.fullmatch(text))
