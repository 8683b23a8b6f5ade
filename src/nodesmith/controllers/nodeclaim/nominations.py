"""Pods carry the name of the node that was bought for them, so that kube-scheduler puts them there (KEP-5278).

kube-scheduler tries a pod's `status.nominatedNodeName` before all other nodes and keeps the room there from pods that
are no more important. A failed attempt of its own takes the name away again, so it is given just before the node opens,
one node at a time, and anew until the node is settled; from then on, and when the node goes, pods that are still
waiting are let off.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final

from nodesmith.api.kinds import POD
from nodesmith.controllers.shell import Shell
from nodesmith.decide.lifecycle.newclaim import planned_pods
from nodesmith.decide.lifecycle.promises import promised_to
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.pod import Pod
from nodesmith.ports.errors import PortError, Refused
from nodesmith.state.snapshot import StateNode

AT_ONCE: Final = 8
"""Writes at a time for one node."""
LONGEST_S: Final = 2.0
"""How long a node may be kept closed for it: what is not written then is left to chance."""
TURN_WITHIN_S: Final = 5.0
"""How long it may wait for its turn before that; where so many nodes come up that it would longer, it goes without."""
PAUSE: Final = timedelta(minutes=5)
"""How long nothing is tried after it was refused."""


def _size_on(state: StateNode) -> Callable[[Pod], float]:
    """How much of the machine a pod takes, of what it takes most of: the large ones are hardest to place elsewhere."""
    whole = state.allocatable

    def size(pod: Pod) -> float:
        return max((amount / whole[name] for name, amount in pod.requests.items() if whole.get(name)), default=0.0)

    return size


class Nominations:
    """Gives pods the names of their nodes, and takes them back. Never raises for what the API server says."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._refused_at: datetime | None = None
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """In here a node's pods are named and it is opened, before the next one's are.

        Names that are given long before a node opens are taken away again by attempts for which it is still closed.
        """
        if not self._shell.options.nominates:
            yield
            return
        has_turn = True
        try:
            async with asyncio.timeout(TURN_WITHIN_S):
                await self._turn.acquire()
        except TimeoutError:
            has_turn = False
        try:
            yield
        finally:
            if has_turn:
                self._turn.release()

    async def give(self, claim: NodeClaim, node: Node) -> None:
        """The pods that the claim was bought for, and that still wait, carry the node's name."""
        state = StateNode(node, claim, self._shell.store.pods_on(node.name))
        now = self._shell.now()
        promised = promised_to(state, self._waiting(claim), now)
        if promised:
            self._shell.store.nominate(node.name, now=now)
            unnamed = [pod for pod in promised if not pod.nominated_node_name]
            await self._write(sorted(unnamed, key=_size_on(state), reverse=True), node.name)

    async def take_back(self, claim: NodeClaim) -> None:
        """No pod of the claim waits for its node any more."""
        kept = [pod for pod in self._waiting(claim).values() if pod.nominated_node_name == claim.node_name]
        await self._write(kept if claim.node_name else (), None)

    async def forget_gone(self) -> None:
        """No pod waits for a node that is not there: a kube-scheduler that keeps the names would never let it off."""
        store = self._shell.store
        waiting = (pod for pod in store.all(Pod) if pod.nominated_node_name and pod.is_waiting)
        await self._write([pod for pod in waiting if store.get(Node, pod.nominated_node_name) is None], None)

    def _waiting(self, claim: NodeClaim) -> dict[str, Pod]:
        pods = (self._shell.store.get(Pod, key) for key in planned_pods(claim))
        return {pod.key: pod for pod in pods if pod is not None and pod.is_waiting}

    async def _write(self, pods: Sequence[Pod], node_name: str | None) -> None:
        """The pods carry this name, as far as the time goes."""
        if not pods or not self._shell.options.nominates or self._is_pausing():
            return
        rest = iter(pods)

        async def write() -> None:
            for pod in rest:
                await self._name(pod, node_name)

        try:
            async with asyncio.timeout(LONGEST_S), asyncio.TaskGroup() as group:
                for number in range(AT_ONCE):
                    group.create_task(write(), name=f"nominate-{number}")
        except TimeoutError:
            self._shell.log.debug("not all pods were nominated in time", Node=node_name or "")

    async def _name(self, pod: Pod, node_name: str | None) -> None:
        if self._is_pausing():
            return
        patch = {"metadata": {"uid": pod.meta.uid}, "status": {"nominatedNodeName": node_name}}
        try:
            await self._shell.writer.patch(POD, pod, patch, subresource="status", is_locked=False)
        except Refused as error:
            self._pause(error)
        except PortError as error:
            told = f"{type(error).__name__}: {error}"
            self._shell.log.debug("pod not nominated", Pod=pod.key, Node=node_name or "", error=told)

    def _is_pausing(self) -> bool:
        return self._refused_at is not None and self._shell.now() - self._refused_at < PAUSE

    def _pause(self, error: Refused) -> None:
        if self._refused_at is None:
            self._shell.log.info("pods cannot be nominated: kube-scheduler chooses among all nodes", error=str(error))
        self._refused_at = self._shell.now()
