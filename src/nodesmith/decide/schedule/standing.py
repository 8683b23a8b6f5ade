"""The pods that run, by what counters can tell apart: worked out once for all problems over one snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from nodesmith.decide.schedule.problem import Problem
from nodesmith.decide.schedule.universe import Flags
from nodesmith.model.pod import Pod, PodAffinityTerm
from nodesmith.state.snapshot import Snapshot

Positions = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Kind:
    """Running pods that no counter tells apart."""

    namespace: str
    labels: Mapping[str, str]
    anti_affinity: tuple[PodAffinityTerm, ...]


class Standing:
    """The pods that run in a snapshot, in order of their nodes."""

    def __init__(self, snapshot: Snapshot) -> None:
        pods = [[pod for pod in node.pods if pod.is_active] for node in snapshot.nodes]
        self.kinds, codes = _kinds([pod for here in pods for pod in here])
        self._node_of: Positions = np.repeat(np.arange(len(pods)), [len(here) for here in pods])
        self._starts = [0, *accumulate(len(here) for here in pods)]
        self.names = [node.name for node in snapshot.nodes]
        self._nodes = {name: position for position, name in enumerate(self.names)}
        self._at = {pod.key: position for position, pod in enumerate(pod for here in pods for pod in here)}
        self._by_kind: Positions = np.argsort(codes, kind="stable")
        self._ends = np.cumsum(np.bincount(codes, minlength=len(self.kinds))) if self.kinds else np.zeros(0, np.int64)

    def staying(self, problem: Problem) -> Flags:
        """By pod: whether it runs on a node that stays, and is not about to be placed anew."""
        stays: Flags = np.ones(self._starts[-1], dtype=np.bool_)
        for name in problem.without:
            node = self._nodes.get(name)
            if node is not None:
                stays[self._starts[node] : self._starts[node + 1]] = False
        for pod in problem.pods:
            if pod.node_name and pod.node_name not in problem.without and pod.key in self._at:
                stays[self._at[pod.key]] = False
        return stays

    def nodes_of(self, kind: int, stays: Flags) -> Positions:
        """The nodes on which pods of the kind stay, by place in the snapshot, once for each pod."""
        mine = self._by_kind[(self._ends[kind - 1] if kind else 0) : self._ends[kind]]
        nodes: Positions = self._node_of[mine[stays[mine]]]
        return nodes


def _kinds(pods: list[Pod]) -> tuple[list[Kind], Positions]:
    """The kinds of the pods, each once, and each pod's."""
    kinds: list[Kind] = []
    known: dict[object, int] = {}
    quick: dict[tuple[int, int, str], int] = {}
    codes: list[int] = []
    for pod in pods:
        handle = (id(pod.meta.labels), id(pod.spec), pod.meta.namespace)
        code = quick.get(handle)
        if code is None:
            shunned = pod.spec.required_anti_affinity
            identity = (pod.meta.namespace, tuple(sorted(pod.meta.labels.items())), shunned)
            code = known.setdefault(identity, len(kinds))
            if code == len(kinds):
                kinds.append(Kind(pod.meta.namespace, pod.meta.labels, shunned))
            quick[handle] = code
        codes.append(code)
    return kinds, np.array(codes, dtype=np.int64)
