"""A problem and a plan, read once: what each check looks things up in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nodesmith.decide.schedule.problem import Problem
from nodesmith.decide.schedule.validate.labels import Constraints, NodeConstraint
from nodesmith.decide.schedule.validate.market import Market
from nodesmith.decide.schedule.validate.shape import Daemon, Shape
from nodesmith.decide.schedule.validate.volumes import Volume, Volumes
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.labels import HOSTNAME, INSTANCE_TYPE, canonical
from nodesmith.model.nodepool import NodePool
from nodesmith.model.pod import Pod, PodSpec
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.model.resources import Resources
from nodesmith.model.taints import NO_SCHEDULE, Taint
from nodesmith.plan.schedule import OnClaim, OnNode, PlannedClaim, SchedulePlan
from nodesmith.state.snapshot import StateNode

CORDONED: Final = Taint("node.kubernetes.io/unschedulable", NO_SCHEDULE)


@dataclass(frozen=True, slots=True)
class Room:
    """A node that is there or on its way, with the pods that stay on it."""

    node: StateNode
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    staying: tuple[Pod, ...]

    @property
    def name(self) -> str:
        """The node's name."""
        return self.node.name

    @property
    def host(self) -> str:
        """The node's host name."""
        return self.labels.get(HOSTNAME, self.node.name)

    @property
    def allocatable(self) -> Resources:
        """What pods may use; the capacity where the node says nothing else."""
        return self.node.allocatable or self.node.capacity


class Case:
    """The problem's pods, nodes and markets by name, and which pods the plan puts where."""

    def __init__(self, problem: Problem, plan: SchedulePlan) -> None:
        self.problem: Final = problem
        self.plan: Final = plan
        self.constraints: Final = Constraints()
        self.pods: Final = {pod.key: pod for pod in problem.pods}
        self.pools: Final[Mapping[str, NodePool]] = {pool.name: pool for pool in problem.snapshot.pools}
        self.daemons: Final = tuple(
            Daemon(each.meta.key, each.template, self.constraints.of_pod(each.template))
            for each in problem.snapshot.daemonsets
        )
        self.rooms: Final = {room.name: room for room in map(self._room, problem.snapshot.nodes) if room is not None}
        self.on_claim: Final[dict[int, list[Pod]]] = defaultdict(list)
        self.on_node: Final[dict[str, list[Pod]]] = defaultdict(list)
        self.keys_on_claim: Final[dict[int, list[str]]] = defaultdict(list)
        self._read_placements()
        self._volumes = Volumes(problem.snapshot.storage, self.constraints)
        self._volumes_of: dict[str, tuple[Volume, ...]] = {}
        self._constraint_of: dict[int, NodeConstraint] = {}
        self._markets: dict[int, Market] = {}
        self._shapes: dict[tuple[str, frozenset[Requirement]], Shape] = {}
        self._shape_of: dict[tuple[str, int], tuple[Shape, Requirements]] = {}
        self._resources = self._resource_names()

    def constraint(self, spec: PodSpec) -> NodeConstraint:
        """What the pod asks of a node's labels."""
        found = self._constraint_of.get(id(spec))
        if found is None:
            found = self._constraint_of[id(spec)] = self.constraints.of_pod(spec)
        return found

    def volumes(self, pod: Pod) -> tuple[Volume, ...]:
        """The pod's persistent volumes."""
        if not pod.spec.volumes:
            return ()
        if pod.key not in self._volumes_of:
            self._volumes_of[pod.key] = self._volumes.of(pod)
        return self._volumes_of[pod.key]

    def market(self, pool_name: str) -> Market | None:
        """The pool's catalogue; None where nothing can be bought from the pool."""
        types = self.problem.catalog.get(pool_name)
        if types is None:
            return None
        if id(types) not in self._markets:
            self._markets[id(types)] = Market(types, self._resources)
        return self._markets[id(types)]

    def shape(self, pool: NodePool, market: Market, requirements: Requirements) -> Shape:
        """What claims of the pool with these requirements, less that on the instance type, can become."""
        known = self._shape_of.get((pool.name, id(requirements)))
        if known is not None:
            return known[0]
        asked = requirements.without((INSTANCE_TYPE,))
        key = (pool.name, frozenset(asked))
        if key not in self._shapes:
            self._shapes[key] = Shape(pool, market, asked, self.daemons)
        # Kept with its requirements, so that no other object gets their id.
        self._shape_of[pool.name, id(requirements)] = self._shapes[key], requirements
        return self._shapes[key]

    def shape_of(self, claim: PlannedClaim) -> Shape | None:
        """What the claim can become; None where its pool cannot be bought from."""
        pool, market = self.pools.get(claim.pool_name), self.market(claim.pool_name)
        if pool is None or market is None:
            return None
        return self.shape(pool, market, claim.requirements)

    def type_of(self, claim: PlannedClaim, name: str) -> InstanceType | None:
        """The instance type of the claim's pool with this name."""
        market = self.market(claim.pool_name)
        number = None if market is None else market.number.get(name)
        return None if market is None or number is None else market.types[number]

    def _room(self, node: StateNode) -> Room | None:
        if node.is_deleting or node.name in self.problem.without:
            return None
        labels: dict[str, str] = {}
        for key, value in node.labels.items():
            labels.setdefault(canonical(key), value)
        is_cordoned = node.node is not None and node.node.is_cordoned
        taints = (*node.taints, CORDONED) if is_cordoned else node.taints
        staying = tuple(pod for pod in node.pods if not pod.is_terminal and pod.key not in self.pods)
        return Room(node, labels, taints, staying)

    def _read_placements(self) -> None:
        for key, placement in self.plan.placements.items():
            pod = self.pods.get(key)
            if pod is None:
                continue
            if isinstance(placement, OnClaim):
                self.on_claim[placement.index].append(pod)
                self.keys_on_claim[placement.index].append(key)
            elif isinstance(placement, OnNode):
                self.on_node[placement.node].append(pod)

    def _resource_names(self) -> list[str]:
        specs = {id(pod.spec): pod.spec for pod in self.problem.pods}
        asked = [*specs.values(), *(daemon.spec for daemon in self.daemons)]
        return sorted({name for spec in asked for name, _ in spec.requests})
