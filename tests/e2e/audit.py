"""What the controller asked of the API server, from its audit log.

asked = verbs(plane.audit_log)          # {Asked("patch", "karpenter.sh", "nodeclaims", "status"), ...}
refused(plane.audit_log)                # what its role did not allow
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FORBIDDEN: Final = 403
DECISION: Final = "authorization.k8s.io/decision"


@dataclass(frozen=True, slots=True, order=True)
class Asked:
    """A verb on a resource, as RBAC names them; `subresource` is empty for the object itself."""

    verb: str
    group: str
    resource: str
    subresource: str = ""


def entries(log: Path, *, user: str = "") -> Iterator[dict[str, Any]]:
    """The requests that were answered, of one user or of all that the policy records."""
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            if not line.endswith("\n"):
                return
            entry = json.loads(line)
            if "objectRef" in entry and (not user or entry["user"]["username"] == user):
                yield entry


def verbs(log: Path, *, user: str = "") -> set[Asked]:
    """Every verb on every resource that was asked for."""
    return {asked_by(entry) for entry in entries(log, user=user)}


def refused(log: Path, *, user: str = "") -> set[Asked]:
    """Those of them that a role did not allow at least once.

    A namespace that is going answers 403 as well, to whoever may write: that is not the role's.
    """
    return {
        asked_by(entry)
        for entry in entries(log, user=user)
        if (entry.get("annotations") or {}).get(DECISION) == "forbid"
    }


def asked_by(entry: dict[str, Any]) -> Asked:
    """What a request asked for."""
    reference = entry["objectRef"]
    return Asked(entry["verb"], reference.get("apiGroup", ""), reference["resource"], reference.get("subresource", ""))
