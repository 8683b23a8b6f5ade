"""The cloud in memory keeps the contract."""

import random
from datetime import timedelta

import pytest

from nodesmith.adapters.clock import RealClock
from nodesmith.adapters.memory.catalog import ZONES, catalog
from nodesmith.adapters.memory.cloud import MemoryCloud
from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.model.labels import ON_DEMAND, SPOT
from nodesmith.model.meta import ObjectMeta
from tests.contract.cloud_contract import CloudContract, CloudHarness


class TestMemoryCloud(CloudContract):
    @pytest.fixture
    def harness(self) -> CloudHarness:
        types = catalog()
        cloud = MemoryCloud(types, RealClock(), random.Random(1))
        pools = [(each.name, zone, terms) for each in types for zone in ZONES for terms in (SPOT, ON_DEMAND)]

        async def exhaust(*wanted: str) -> None:
            for pool in pools:
                if all(asked in {"*", part} for asked, part in zip(wanted, pool, strict=True)):
                    cloud.left[pool] = 0

        async def spoil() -> None:
            cloud.unready.add("default")

        async def settle() -> None:
            for rented in cloud.rented.values():
                if rented.terminated_at is not None:
                    rented.terminated_at -= timedelta(hours=1)

        return CloudHarness(
            cloud=cloud,
            node_class=EC2NodeClass(meta=ObjectMeta("default")),
            types=("t4g.large", "m7g.large"),
            zone=ZONES[0],
            exhaust=exhaust,
            spoil=spoil,
            settle=settle,
        )
