"""Evictions, pod by pod: asked for again and again, ever more slowly, until the pod is gone (spec 4.7)."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from nodesmith.controllers import tell
from nodesmith.controllers.controller import DONE, Controller, Outcome
from nodesmith.controllers.shell import Shell
from nodesmith.decide.lifecycle.drain import is_evictable
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import DISRUPTION_REASON
from nodesmith.model.pod import Pod
from nodesmith.ports.errors import EvictionBlocked, PortError, Refused

FIRST_RETRY: Final = timedelta(milliseconds=100)
LAST_RETRY: Final = timedelta(seconds=10)
FORCEFUL: Final = "Forceful Termination"

PodKey = tuple[str, str]
"""Key and uid: another pod of the same name is another pod."""


class Evictions:
    """The queue of pods to evict."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._asked: set[PodKey] = set()
        self.controller: Controller[PodKey] = Controller(
            "eviction-queue",
            self._reconcile,
            shell.telemetry,
            shell.rng,
            workers=shell.options.workers,
            first_retry=FIRST_RETRY,
            last_retry=LAST_RETRY,
        )

    def request(self, pod: Pod) -> None:
        """The pod will be evicted; asking twice changes nothing."""
        key = (pod.key, pod.meta.uid)
        if key not in self._asked:
            self._asked.add(key)
            self.controller.mark(key)

    async def _reconcile(self, key: PodKey) -> Outcome:
        """The pod is going, or need not go.

        Raises:
            PortError: when it may not go yet.
        """
        pod = self._shell.store.get(Pod, key[0])
        if pod is None or pod.meta.uid != key[1] or not self._must_go(pod):
            self._asked.discard(key)
            return DONE
        try:
            is_going = await self._shell.writer.evict(pod)
        except PortError as error:
            self._refused(pod, error)
            raise
        self._asked.discard(key)
        self._shell.metrics.count("pods_eviction_requests_total", code="200" if is_going else "404")
        if is_going:
            reason = self._reason(pod)
            self._shell.events.publish(tell.evicted(pod, reason))
            self._shell.metrics.count("pods_drained_total", reason=reason)
        return DONE

    def _must_go(self, pod: Pod) -> bool:
        node = self._shell.store.get(Node, pod.node_name)
        return node is not None and node.meta.is_deleting and is_evictable(pod, self._shell.now())

    def _refused(self, pod: Pod, error: PortError) -> None:
        node = self._shell.store.get(Node, pod.node_name)
        match error:
            case EvictionBlocked():
                code, why = "429", f"evicting pod violates a PDB, {error}"
            case Refused() if "PodDisruptionBudget" in str(error):
                code, why = "500", f"eviction does not support multiple PDBs, {error}"
            case Refused():
                code, why = "403", f"eviction was refused, {error}"
            case _:
                code, why = "500", ""
        self._shell.metrics.count("pods_eviction_requests_total", code=code)
        if why:
            self._shell.events.publish(tell.eviction_refused(pod, why))
            if node is not None:
                self._shell.events.publish(tell.failed_draining(node, f"{pod.key}: {why}"))

    def _reason(self, pod: Pod) -> str:
        node = self._shell.store.get(Node, pod.node_name)
        claims = self._shell.store.claims_with(node.provider_id) if node is not None else ()
        condition = claims[0].condition(DISRUPTION_REASON) if claims else None
        return condition.reason if condition is not None and condition.is_true else FORCEFUL
