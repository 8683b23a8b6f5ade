"""Policies that belong to a resource: whether they let somebody in, by the same evaluator as identity policies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from nodesmith.adapters.aws.policy import PolicyError, evaluate, parse
from nodesmith.install.doctor.awsfacts import Document

EVERYBODY: Final = "*"
WEB_IDENTITY: Final = "sts:AssumeRoleWithWebIdentity"


def admits(
    document: Document, kind: str, who: str, action: str, *, resource: str = "*", context: Mapping[str, str]
) -> bool:
    """Whether the document lets a principal (of a kind: `Service`, `Federated`, `AWS`) do an action.

    A document that cannot be evaluated lets nobody in.
    """
    rows = [_of_identity(row) for row in statements_of(document) if {who, EVERYBODY} & set(principals(row, kind))]
    return _is_allowed(rows, action, resource, context)


def statements_of(document: Document) -> Iterator[Mapping[str, Any]]:
    """The statements of a document, whether it has one or a list."""
    found = document.get("Statement") or ()
    yield from [found] if isinstance(found, Mapping) else found


def principals(row: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    """The principals of a kind that a statement speaks of; `*` is everybody."""
    stated = row.get("Principal") or {}
    if not isinstance(stated, Mapping):
        return (str(stated),)
    return tuple(texts(stated.get(kind)))


def trusted(document: Document, kind: str) -> frozenset[str]:
    """Everybody of a kind that the document allows something."""
    rows = (row for row in statements_of(document) if row.get("Effect") == "Allow")
    return frozenset(each for row in rows for each in principals(row, kind))


def conditions_on(document: Document, provider: str, suffix: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Operator and values of every condition on a claim (`:aud`, `:sub`) of tokens from the provider."""
    for row in statements_of(document):
        if provider not in principals(row, "Federated"):
            continue
        for operator, keys in (row.get("Condition") or {}).items():
            for key, values in keys.items():
                if key.endswith(suffix):
                    yield operator, texts(values)


def accepts(operator: str, values: Iterable[str], value: str) -> bool:
    """Whether one condition holds for a value."""
    row = {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {operator: {"key": list(values)}}}
    return _is_allowed([row], "any:Action", "*", {"key": value})


def texts(value: object) -> tuple[str, ...]:
    """A text or a list of them, as a tuple."""
    if value is None:
        return ()
    return tuple(map(str, value)) if isinstance(value, list | tuple) else (str(value),)


def _of_identity(row: Mapping[str, Any]) -> dict[str, Any]:
    """The statement as an identity policy would have it."""
    plain = {name: value for name, value in row.items() if name not in {"Principal", "NotPrincipal"}}
    return plain if "Resource" in plain or "NotResource" in plain else {**plain, "Resource": "*"}


def _is_allowed(rows: list[dict[str, Any]], action: str, resource: str, context: Mapping[str, str]) -> bool:
    try:
        return evaluate(parse({"Statement": rows}), action, resource, context).is_allowed
    except PolicyError:
        return False
