"""Values for the chart: names that it does not know, values it cannot use, and what is missing in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, Final

from nodesmith.api.documents import Document
from nodesmith.api.fault import Problem, Severity
from nodesmith.api.schema import schema_of
from nodesmith.api.walk import Walk
from nodesmith.api.wire.checks import items_of
from nodesmith.api.wire.helmvalues import HelmValuesWire
from nodesmith.model.labels import NODEPOOL

_TELLING: Final = ("settings", "serviceAccount", "controller")
_STRAYS: Final = {
    "settings.aws": "its fields are directly under `settings` now",
    "webhook": "there is no webhook any more: leave it out",
    "settings.assumeRoleARN": "the service account's role is used",
    "image": "it is `controller.image`",
    "resources": "it is `controller.resources`",
    "env": "it is `controller.env`",
}
_WALK: Final = Walk("the chart's values", strays=_STRAYS, root=HelmValuesWire, minds_empty=False)


def is_values(document: Document) -> bool:
    """Whether a document looks like values for the chart."""
    data = document.data
    if not isinstance(data, Mapping) or "kind" in data or "apiVersion" in data:
        return False
    is_named = PurePath(document.file).name.startswith("values")
    return sum(name in data for name in _TELLING) >= (1 if is_named else 2)


def values_problems(values: Mapping[str, Any]) -> Iterator[Problem]:
    """Every problem of values for the chart."""
    yield from _WALK.problems(schema_of(HelmValuesWire), values)
    settings = values.get("settings")
    if isinstance(settings, Mapping) and not settings.get("interruptionQueue"):
        yield Problem(
            ("settings", "interruptionQueue"),
            "`settings.interruptionQueue` is missing: spot interruptions are not heeded",
            "the name of the SQS queue that EventBridge sends them to",
            Severity.WARNING,
        )
    if values.get("affinity") and not _keeps_off_own_nodes(values["affinity"]):
        yield Problem(
            ("affinity",),
            "`affinity` lets the controller run on nodes that it made, and may remove",
            f"require {NODEPOOL} DoesNotExist in every nodeSelectorTerm",
            Severity.WARNING,
        )


def _keeps_off_own_nodes(affinity: Any) -> bool:
    """Whether every term of the required node affinity asks that no NodePool made the node."""
    here = affinity
    for step in ("nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"):
        here = here.get(step) if isinstance(here, Mapping) else None
    terms = [term for _, term in items_of(here.get("nodeSelectorTerms") if isinstance(here, Mapping) else None)]
    return bool(terms) and all(_excludes_own(term) for term in terms)


def _excludes_own(term: Mapping[str, Any]) -> bool:
    return any(
        each.get("key") == NODEPOOL and each.get("operator") == "DoesNotExist"
        for _, each in items_of(term.get("matchExpressions"))
    )
