"""What was likely meant by a word that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

_CLOSE: Final = 0.6
_CERTAIN: Final = 0.8


def closest(given: str, known: Iterable[str]) -> str | None:
    """The known word that is most like the given one, or None when none is; case does not count."""
    by_lower = {each.lower(): each for each in known}
    close = difflib.get_close_matches(given.lower(), by_lower, n=1, cutoff=_CLOSE)
    return by_lower[close[0]] if close else None


def is_certain(given: str, meant: str) -> bool:
    """Whether the two are so much alike that one may be put for the other."""
    return difflib.SequenceMatcher(None, given.lower(), meant.lower()).ratio() >= _CERTAIN


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """A hint that names the likeliest of the known words, or nothing."""
    word = closest(given, known)
    return f"did you mean `{word}`?" if word else ""


def slip_of(given: str, known: Iterable[str]) -> str | None:
    """The known word that the given one misses by a letter or two, or None."""
    words = sorted(known)
    if given in words:
        return None
    return next((word for word in words if edit_distance(given, word) <= 2), None)  # noqa: PLR2004 - or two


def edit_distance(left: str, right: str) -> int:
    """How many letters must be put in, taken out or changed to make one of the other."""
    row = list(range(len(right) + 1))
    for index, letter in enumerate(left, 1):
        before, row[0] = row[0], index
        for column, other in enumerate(right, 1):
            change = before + (letter != other)
            before, row[column] = row[column], min(change, row[column] + 1, row[column - 1] + 1)
    return row[-1]
