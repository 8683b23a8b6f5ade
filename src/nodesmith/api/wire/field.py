"""What a field's type cannot say: its purpose, the values allowed, and rules between fields.

`Annotated[int | None, Field("How often.", minimum=1)]` is read by `api.schema` only; decoding does not enforce it. A
lambda in there would not see its module's names (annotations are evaluated later), so rules with one have a name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

UNSET: Final = object()

Step = str | int
Places = Iterable[tuple[Step, ...]]
"""Ways to the values at fault, from the value that a rule is about; the empty way is that value itself."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that the API server checks as CEL and nodesmith in Python.

    `broken` returns where the value breaks it; a rule between the old and the new object has none and is the API
    server's alone. One without CEL is nodesmith's alone. Of the
    `likely` words, the one closest to what is there becomes the hint.
    """

    cel: str
    message: str
    broken: Callable[[Any], Places] | None = None
    hint: str = ""
    is_warning: bool = False
    likely: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """What a field is for, which values it allows, and what the API server sets where it is missing.

    `struct` says what is known to be in a map that may hold more.
    """

    about: str = ""
    pattern: str = ""
    enum: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    min_length: int | None = None
    max_length: int | None = None
    min_items: int | None = None
    max_items: int | None = None
    max_properties: int | None = None
    is_required: bool = False
    default: Any = UNSET
    list_type: str = ""
    map_type: str = ""
    format: str = ""
    hint: str = ""
    rules: tuple[Rule, ...] = ()
    struct: Any = None
