"""What every Kubernetes object has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

EPOCH: Final = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class OwnerReference:
    """Who an object belongs to."""

    api_version: str
    kind: str
    name: str
    uid: str = ""
    controller: bool = False
    block_owner_deletion: bool = False


@dataclass(frozen=True, slots=True)
class ObjectMeta:
    """Name, identity and bookkeeping of an object."""

    name: str
    namespace: str = ""
    uid: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
    owners: tuple[OwnerReference, ...] = ()
    resource_version: str = ""
    generation: int = 0
    created_at: datetime = EPOCH
    deleted_at: datetime | None = None

    @property
    def key(self) -> str:
        """`namespace/name`, or the name alone for a cluster-scoped object."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def is_deleting(self) -> bool:
        """Whether the object has been asked to go."""
        return self.deleted_at is not None

    def owner_of_kind(self, kind: str) -> OwnerReference | None:
        """The first owner of this kind."""
        for owner in self.owners:  # no generator: this is asked of every pod at every change
            if owner.kind == kind:
                return owner
        return None


@dataclass(frozen=True, slots=True)
class Condition:
    """One status condition; `status` is True, False or Unknown."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    changed_at: datetime = EPOCH
    observed_generation: int = 0

    @property
    def is_true(self) -> bool:
        """Whether the condition holds."""
        return self.status == "True"

    @property
    def is_false(self) -> bool:
        """Whether the condition is known not to hold."""
        return self.status == "False"


Conditions = Mapping[str, Condition]
"""Conditions by type."""
