"""What is done to NodeClaims: conditions, annotations, finalizer, deletion. Every one of them may be done twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nodesmith.actuate.writer import Writer
from nodesmith.api.kinds import NODE_CLAIM
from nodesmith.api.meta import conditions_to_json
from nodesmith.api.nodeclaim import to_manifest
from nodesmith.decide.lifecycle.conditions import CLAIM_DEPENDENTS, Change, changed
from nodesmith.model.labels import TERMINATION_FINALIZER
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.ports.clock import Clock
from nodesmith.ports.errors import NotFound


class Claims:
    """Writes NodeClaims."""

    def __init__(self, writer: Writer, clock: Clock) -> None:
        self._writer = writer
        self._clock = clock

    async def create(self, claim: NodeClaim) -> NodeClaim:
        """The claim exists.

        Raises:
            AlreadyExists: when the name is taken.
        """
        return await self._writer.create(NODE_CLAIM, to_manifest(claim))

    async def set_status(
        self, claim: NodeClaim, changes: Sequence[Change], fields: Mapping[str, Any] | None = None
    ) -> NodeClaim:
        """The claim's conditions are changed and its status fields set; no write where nothing differs.

        Raises:
            Conflict: when the claim has changed since it was read.
        """
        now = self._clock.now().replace(microsecond=0)
        conditions = changed(claim.conditions, claim.meta, changes, dependents=CLAIM_DEPENDENTS, now=now)
        status: dict[str, Any] = dict(fields or {})
        if conditions != claim.conditions:
            status["conditions"] = conditions_to_json(conditions)
        if not status:
            return claim
        return await self._writer.patch(NODE_CLAIM, claim, {"status": status}, subresource="status")

    async def set_metadata(
        self,
        claim: NodeClaim,
        *,
        labels: Mapping[str, str | None] | None = None,
        annotations: Mapping[str, str | None] | None = None,
    ) -> NodeClaim:
        """The claim has these labels and annotations too; one of None is taken away. No write for nothing."""
        metadata: dict[str, Any] = {}
        if new_labels := _differing(labels or {}, claim.meta.labels):
            metadata["labels"] = new_labels
        if new_annotations := _differing(annotations or {}, claim.meta.annotations):
            metadata["annotations"] = new_annotations
        if not metadata:
            return claim
        return await self._writer.patch(NODE_CLAIM, claim, {"metadata": metadata}, is_locked=False)

    async def add_finalizer(self, claim: NodeClaim) -> NodeClaim:
        """The claim does not go before its machine is gone."""
        if TERMINATION_FINALIZER in claim.meta.finalizers:
            return claim
        finalizers = [*claim.meta.finalizers, TERMINATION_FINALIZER]
        return await self._writer.patch(NODE_CLAIM, claim, {"metadata": {"finalizers": finalizers}})

    async def remove_finalizer(self, claim: NodeClaim) -> None:
        """Nothing of ours holds the claim."""
        finalizers = [each for each in claim.meta.finalizers if each != TERMINATION_FINALIZER]
        try:
            await self._writer.patch(NODE_CLAIM, claim, {"metadata": {"finalizers": finalizers}})
        except NotFound:
            return

    async def delete(self, claim: NodeClaim) -> bool:
        """The claim is on its way out; False when it was gone already."""
        return await self._writer.delete(NODE_CLAIM, claim)

    async def delete_named(self, name: str) -> bool:
        """A claim of this name is on its way out, whoever has seen it; False when there is none."""
        return await self._writer.delete_named(NODE_CLAIM, name)


def _differing(wanted: Mapping[str, str | None], present: Mapping[str, str]) -> dict[str, str | None]:
    return {key: value for key, value in wanted.items() if present.get(key) != value}
