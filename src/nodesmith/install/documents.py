"""Policy documents compared by what they say, and our statements put into those of others and taken out again.

The one thing to know: a statement of ours in somebody else's document is known by its Sid, which begins with `SID`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

Document = dict[str, Any]

SID: Final = "Nodesmith"
_LISTS: Final = frozenset({"Action", "NotAction", "Resource", "NotResource"})
_MAPS_OF_LISTS: Final = frozenset({"Principal", "NotPrincipal"})


def as_document(stated: Any) -> Document:
    """A policy document, whether the client has read it already or not; nothing at all is an empty one."""
    document: Document = json.loads(stated or "{}") if isinstance(stated, str) else dict(stated or {})
    return document


def is_same(left: Any, right: Any) -> bool:
    """Whether the two say the same, however they were written."""
    return _said(as_document(left)) == _said(as_document(right))


def says(present: Any, wanted: Document) -> bool:
    """Whether every statement that is wanted is in the document, under any Sid."""
    said = _said(as_document(present))
    return all(each in said for each in _said(wanted))


def with_ours(present: Any, wanted: Document) -> Document:
    """The document with our statements, those of others as they were."""
    theirs = without_ours(present) or {"Version": "2012-10-17", "Statement": []}
    ours = [{**each, "Sid": f"{SID}{each.get('Sid') or number}"} for number, each in enumerate(statements(wanted))]
    return {**theirs, "Statement": [*statements(theirs), *ours]}


def without_ours(present: Any) -> Document | None:
    """The document without our statements, or None when it had no others."""
    document = as_document(present)
    theirs = [each for each in statements(document) if not is_ours(each)]
    return {**document, "Statement": theirs} if theirs else None


def has_ours(present: Any) -> bool:
    """Whether a statement of ours is in the document."""
    return any(is_ours(each) for each in statements(as_document(present)))


def is_ours(statement: Mapping[str, Any]) -> bool:
    """Whether a step put the statement there."""
    return str(statement.get("Sid") or "").startswith(SID)


def statements(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Its statements: IAM lets one stand without a list."""
    stated = document.get("Statement") or []
    return [dict(stated)] if isinstance(stated, Mapping) else [dict(each) for each in stated]


def listed(value: Any) -> list[Any]:
    """A value that may stand alone, as a list."""
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]


def _said(document: Mapping[str, Any]) -> list[Document]:
    return [_canonical(each) for each in statements(document)]


def _canonical(statement: Mapping[str, Any]) -> Document:
    """One way to write it: no Sid, every list a sorted list, every condition's values as text."""
    said: Document = {}
    for field, value in statement.items():
        if field == "Sid":
            continue
        if field in _LISTS:
            said[field] = sorted(listed(value))
        elif field in _MAPS_OF_LISTS and isinstance(value, Mapping):
            said[field] = {kind: sorted(listed(each)) for kind, each in value.items()}
        elif field == "Condition":
            said[field] = {
                test: {key: sorted(_text(each) for each in listed(values)) for key, values in keys.items()}
                for test, keys in value.items()
            }
        else:
            said[field] = value
    return said


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
