"""AWS, on the box, keeps the contract that the cloud in memory keeps."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from nodesmith.sim.aws.control import PoolRule
from tests.contract.cloud_contract import CloudContract, CloudHarness
from tests.functional.aws.conftest import SPEC, ZONE_A, Bench


class TestAwsCloud(CloudContract):
    @pytest.fixture
    def harness(self, bench: Bench) -> CloudHarness:
        async def exhaust(instance_type: str, zone: str, capacity_type: str) -> None:
            rule = PoolRule(capacity_type=capacity_type, instance_type=instance_type, zone=zone)
            await asyncio.to_thread(bench.control.ice, rule)

        async def spoil() -> None:
            spoilt = bench.node_class({**SPEC, "subnetSelectorTerms": [{"tags": {"nowhere": "*"}}]})
            await bench.adopt(spoilt)

        async def settle() -> None:
            """The box's instances are gone at once."""

        return CloudHarness(
            cloud=bench.cloud,
            node_class=replace(bench.objects.classes["default"]),
            types=("t4g.large", "m7g.large"),
            zone=ZONE_A,
            exhaust=exhaust,
            spoil=spoil,
            settle=settle,
        )
