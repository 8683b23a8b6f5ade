"""Nodes and NodeClaims put together by provider id, with the pods of each node.

A `StateNode` is built once and kept until something of it changes: the node, the claim, a pod on it, a mark, a promise.
Where only pods change, which is nearly always, it stays in its place and is given its pods anew.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TypeVar

from nodesmith.model.labels import INSTANCE_TYPE
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.pod import Pod
from nodesmith.state.inflight import InFlight
from nodesmith.state.snapshot import StateNode

V = TypeVar("V")


class Machines:
    """State nodes, kept up to date one change at a time."""

    def __init__(self, in_flight: InFlight) -> None:
        self._in_flight = in_flight
        self._nodes: dict[str, Node] = {}
        self._claims: dict[str, NodeClaim] = {}
        self._nodes_of: dict[str, set[str]] = {}
        self._claims_of: dict[str, set[str]] = {}
        self._pods: dict[str, dict[str, Pod]] = {}
        self._unsorted: set[str] = set()
        self._built: dict[str, StateNode] = {}
        self._places: dict[tuple[type, str], str] = {}
        self._shown_at: dict[str, str] = {}
        self._repopulated: set[str] = set()
        self._dirty_nodes: set[str] = set()
        self._dirty_claims: set[str] = set()
        self._order: list[str] = []
        self._items: tuple[StateNode, ...] = ()

    def set_node(self, name: str, node: Node | None) -> None:
        """The node is this one now, or gone."""
        before = self._nodes.get(name)
        _index(self._nodes_of, name, before.provider_id if before else "", node.provider_id if node else "")
        _assign(self._nodes, name, node)
        self._touch_machine(before.provider_id if before else "", node.provider_id if node else "")
        self._dirty_nodes.add(name)

    def set_claim(self, name: str, claim: NodeClaim | None) -> None:
        """The claim is this one now, or gone."""
        before = self._claims.get(name)
        _index(self._claims_of, name, before.provider_id if before else "", claim.provider_id if claim else "")
        _assign(self._claims, name, claim)
        self._touch_machine(before.provider_id if before else "", claim.provider_id if claim else "")
        self._dirty_claims.add(name)

    def move_pod(self, key: str, before: Pod | None, after: Pod | None) -> None:
        """The pod is this one now, or gone; `before` is what it was."""
        old, new = _node_of(before), _node_of(after)
        if old and old != new:
            pods = self._pods.get(old, {})
            pods.pop(key, None)
            if not pods:
                self._pods.pop(old, None)
                self._unsorted.discard(old)
            self._repopulated.add(old)
        if new and after is not None:
            pods = self._pods.setdefault(new, {})
            if key not in pods:
                self._unsorted.add(new)
            pods[key] = after
            self._repopulated.add(new)

    def touch(self, name: str) -> None:
        """The node or claim of this name is built anew."""
        self._dirty_claims.add(name)
        self._touch_node(name)

    def nodes_with(self, provider_id: str) -> tuple[Node, ...]:
        """The nodes that show this provider id, by name."""
        return tuple(self._nodes[name] for name in sorted(self._nodes_of.get(provider_id, ())))

    def claims_with(self, provider_id: str) -> tuple[NodeClaim, ...]:
        """The claims that show this provider id, by name."""
        return tuple(self._claims[name] for name in sorted(self._claims_of.get(provider_id, ())))

    def pods_on(self, node_name: str) -> tuple[Pod, ...]:
        """The pods of the node, by key."""
        pods = self._pods.get(node_name)
        if pods is None:
            return ()
        if node_name in self._unsorted:
            self._unsorted.discard(node_name)
            pods = self._pods[node_name] = dict(sorted(pods.items()))
        return tuple(pods.values())

    def ordered(self) -> tuple[StateNode, ...]:
        """Every state node, by name."""
        if self._dirty_nodes or self._dirty_claims or self._repopulated:
            self._build()
            self._items = tuple(map(self._built.__getitem__, self._order))
        return self._items

    def _touch_machine(self, *provider_ids: str) -> None:
        for provider_id in provider_ids:
            self._dirty_nodes |= self._nodes_of.get(provider_id, set())
            self._dirty_claims |= self._claims_of.get(provider_id, set())

    def _touch_node(self, name: str) -> None:
        self._dirty_nodes.add(name)
        node = self._nodes.get(name)
        if node is not None and node.provider_id in self._claims_of:
            self._dirty_claims.update(self._claims_of[node.provider_id])

    def _build(self) -> None:
        for name in self._dirty_claims:
            claim = self._claims.get(name)
            self._place(NodeClaim, name, self._of_claim(claim) if claim else None)
        for name in self._dirty_nodes:
            node = self._nodes.get(name)
            self._place(Node, name, self._of_node(node) if node else None)
        for name in self._repopulated - self._dirty_nodes:
            self._populate(name)
        self._dirty_claims.clear()
        self._dirty_nodes.clear()
        self._repopulated.clear()

    def _place(self, kind: type, name: str, state: StateNode | None) -> None:
        """What was built for the node or claim is this now, or nothing."""
        place = "" if state is None else f"{state.name}\0{state.provider_id}\0{kind is Node:d}{name}"
        before = self._places.get((kind, name), "")
        if before:
            was = self._built[before].node
            if was is not None and self._shown_at.get(was.name) == before:
                del self._shown_at[was.name]
        if before and before != place:
            del self._built[before], self._places[kind, name]
            del self._order[bisect_left(self._order, before)]
        if state is None:
            return
        if before != place:
            self._places[kind, name] = place
            insort(self._order, place)
        self._built[place] = state
        if state.node is not None:
            self._shown_at[state.node.name] = place

    def _populate(self, node_name: str) -> None:
        """What shows the node has the pods that the node has now."""
        place = self._shown_at.get(node_name)
        if place is not None:
            was = self._built[place]
            pods = self.pods_on(node_name)
            self._built[place] = StateNode(was.node, was.claim, pods, was.is_marked, was.nominated_until)

    def _of_claim(self, claim: NodeClaim) -> StateNode:
        names = self._nodes_of.get(claim.provider_id)
        if not names or min(self._claims_of[claim.provider_id]) != claim.name:
            return self._state_node(None, claim)
        node = self._nodes[min(names)]
        return self._state_node(node if _is_usable(node) else None, claim)

    def _of_node(self, node: Node) -> StateNode | None:
        is_paired = node.provider_id in self._claims_of and min(self._nodes_of[node.provider_id]) == node.name
        return None if is_paired or not _is_usable(node) else self._state_node(node, None)

    def _state_node(self, node: Node | None, claim: NodeClaim | None) -> StateNode:
        pods = self.pods_on(node.name) if node is not None else ()
        nominated, marked, doomed = self._in_flight.nominated, self._in_flight.marked, self._in_flight.doomed
        if not nominated and not marked and not doomed:
            return StateNode(node, claim, pods)
        names = [each.name for each in (node, claim) if each is not None]
        return StateNode(
            node=node,
            claim=claim,
            pods=pods,
            is_marked=any(name in marked or name in doomed for name in names),
            nominated_until=max((nominated[name] for name in names if name in nominated), default=None),
        )


def _is_usable(node: Node) -> bool:
    """A node of ours tells nothing before it has its instance type, unless it is long in use (spec 6)."""
    return not node.is_managed or node.is_initialized or INSTANCE_TYPE in node.meta.labels


def _node_of(pod: Pod | None) -> str:
    return "" if pod is None or not pod.node_name or pod.is_terminal else pod.node_name


def _assign(table: dict[str, V], key: str, value: V | None) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value


def _index(index: dict[str, set[str]], name: str, before: str, after: str) -> None:
    """Keep the names by provider id; an empty id is in no index."""
    if before == after:
        return
    if before:
        index[before].discard(name)
        if not index[before]:
            del index[before]
    if after:
        index.setdefault(after, set()).add(name)
