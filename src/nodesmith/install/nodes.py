"""The nodes that the controller made: drained and gone before anything else is taken back.

The one thing to know: the controller does it. While it does not run, nothing here goes, and that is said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from nodesmith.api.kind import Kind, Manifest
from nodesmith.api.kinds import EC2_NODE_CLASS, NODE_CLAIM, NODE_POOL
from nodesmith.install.objects import is_marked, listed, metadata
from nodesmith.install.running import does_controller_run
from nodesmith.install.setup import ABSENT, Finding, Step
from nodesmith.ports.clock import Clock
from nodesmith.ports.cluster import Cluster
from nodesmith.ports.errors import NotFound, Unavailable

_LOOK_EVERY: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Nodes:
    """The machines of all NodePools; `takes_pools` is that NodePools and classes of others may go as well."""

    cluster: Cluster
    clock: Clock
    cluster_name: str
    namespace: str
    within: timedelta
    takes_pools: bool
    tell: Callable[[str], None]
    name: str = "nodes"
    target: str = "all that the controller made"

    async def look(self) -> Finding:
        """How many there are, and what of others is in the way."""
        foreign = [each for kind in (NODE_POOL, EC2_NODE_CLASS) for each in await self._foreign(kind)]
        claims = await listed(self.cluster, NODE_CLAIM)
        if foreign and not self.takes_pools:
            names = ", ".join(f"{each['kind']} {metadata(each)['name']}" for each in foreign)
            hold = f"{names} not made by install: delete what is not needed, or say --delete-pools or --keep-nodes"
            return Finding(exists=True, is_own=True, hold=hold)
        if not claims and not foreign:
            return ABSENT
        if claims and not await does_controller_run(self.cluster, self.clock, self.namespace):
            hold = f"{_counted(claims)}, and the controller does not run: start it, or say --keep-nodes"
            return Finding(exists=True, is_own=True, hold=hold)
        told = ", ".join(f"{metadata(each)['name']}" for each in foreign)
        note = f"{len(claims)} drained, then ended" + (f"; {told} deleted" if told else "")
        return Finding(exists=True, is_own=True, note=note)

    async def ensure(self) -> None:
        """Nodes come by themselves, when pods need them."""

    async def undo(self) -> None:
        """No NodePool is left, every node is drained and its machine ended, no class is left but ours.

        Raises:
            Unavailable: when some are there for too long.
        """
        for pool in await self._foreign(NODE_POOL):
            await self._delete(NODE_POOL, pool)
        for claim in await listed(self.cluster, NODE_CLAIM):
            await self._delete(NODE_CLAIM, claim)
        await self._until_none(NODE_CLAIM)
        for node_class in await self._foreign(EC2_NODE_CLASS):
            await self._delete(EC2_NODE_CLASS, node_class)

    async def _foreign(self, kind: Kind[Any]) -> list[Manifest]:
        found = await listed(self.cluster, kind)
        return [{**each, "kind": kind.name} for each in found if not is_marked(each, self.cluster_name)]

    async def _delete(self, kind: Kind[Any], manifest: Manifest) -> None:
        if "deletionTimestamp" in metadata(manifest):
            return
        try:
            await self.cluster.delete(kind, str(metadata(manifest)["name"]), uid=str(metadata(manifest)["uid"]))
        except NotFound:
            return

    async def _until_none(self, kind: Kind[Any]) -> None:
        end, told = self.clock.now() + self.within, -1
        while left := await listed(self.cluster, kind):
            if self.clock.now() >= end:
                raise Unavailable(f"{_counted(left)} still there: {'; '.join(map(_why, left[:3]))}")
            if len(left) != told:
                self.tell(f"{_counted(left)} to go")
                told = len(left)
            await self.clock.sleep(_LOOK_EVERY)


@dataclass(frozen=True, slots=True)
class Staying:
    """A step whose thing stays when the rest is taken back, because nodes that stay need it."""

    step: Step

    @property
    def name(self) -> str:
        """The step's."""
        return self.step.name

    @property
    def target(self) -> str:
        """The step's."""
        return self.step.target

    async def look(self) -> Finding:
        """What is there, not to be touched."""
        found = await self.step.look()
        return Finding(exists=True, note="the nodes that stay need it") if found.exists else found

    async def ensure(self) -> None:
        """As the step does it."""
        await self.step.ensure()

    async def undo(self) -> None:
        """It stays."""


def _counted(claims: Sequence[Manifest]) -> str:
    return "1 node" if len(claims) == 1 else f"{len(claims)} nodes"


def _why(claim: Manifest) -> str:
    """What the controller says about a node that is not gone yet."""
    conditions = (claim.get("status") or {}).get("conditions") or ()
    drained = next((each for each in conditions if each.get("type") == "Drained"), None)
    if drained is not None and drained.get("status") != "True":
        said = drained.get("message") or drained.get("reason") or ""
        return f"{metadata(claim)['name']} is being drained{f', {said}' if said else ''}"
    finalizers = ", ".join(metadata(claim).get("finalizers") or ())
    return f"{metadata(claim)['name']} is held by {finalizers or 'nothing'}: does the controller run?"
