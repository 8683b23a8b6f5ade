"""The cluster in memory keeps the contract."""

import itertools
import random
from typing import Any

import pytest

from nodesmith.adapters.clock import RealClock
from nodesmith.adapters.memory.cluster import MemoryCluster
from nodesmith.adapters.memory.server import ApiServer
from nodesmith.api.kind import Kind
from nodesmith.api.kinds import NAMESPACE
from tests.contract.cluster_contract import ClusterContract
from tests.contract.harness import ClusterHarness


class TestMemoryCluster(ClusterContract):
    @pytest.fixture
    def harness(self) -> ClusterHarness:
        clock, number = RealClock(), itertools.count(1)
        server = ApiServer(clock.now, random.Random(1))
        server.create(NAMESPACE, {"metadata": {"name": "contract"}})

        async def bind(name: str, node: str, *, namespace: str) -> None:
            server.bind(name, node, namespace=namespace)

        async def expire(kind: Kind[Any]) -> str:
            since = str(server.history.revision - 1)
            server.forget_history(kind)
            return since

        return ClusterHarness(
            cluster=MemoryCluster(server, clock),
            namespace="contract",
            unique=lambda stem: f"{stem}-{next(number)}",
            bind=bind,
            expire=expire,
        )
