"""When instance types are asked for, what is kept when AWS tells none, and what nodes teach of their memory."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from nodesmith.adapters.aws.blocking import run_inline
from nodesmith.adapters.aws.client import AwsClient
from nodesmith.adapters.aws.typestore import MEMORY_KNOWN_FOR, REFRESHED_EVERY, RETRIED_AFTER, TypeStore
from nodesmith.adapters.clock import RealClock
from nodesmith.ports.errors import Unavailable
from tests.unit.adapters.aws.vectors import vectors


class Hands(RealClock):
    """A clock that can be put forward."""

    ahead = timedelta(0)

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead.total_seconds()


class Nobody:
    def client(self, service: str, region: str) -> Any:
        raise AssertionError((service, region))


class Told(AwsClient):
    """EC2, which knows these types, or does not answer where that is None."""

    def __init__(self, clock: Hands, *names: str) -> None:
        super().__init__(Nobody(), region="r", clock=clock, run_blocking=run_inline)
        self.names: tuple[str, ...] | None = names
        self.asked: list[dict[str, Any]] = []

    async def everything(
        self, service: str, operation: str, items: str, *, region: str = "", **parameters: Any
    ) -> list[Any]:
        self.asked.append({"operation": operation, **parameters})
        if self.names is None:
            raise Unavailable("no answer")
        if operation == "DescribeInstanceTypeOfferings":
            return [{"InstanceType": name, "Location": "a"} for name in self.names]
        rows = vectors("instance_types")["types"]
        return [row["input"] for row in rows if row["source"] == "moto" and row["name"] in self.names]


async def test_types_are_asked_for_twice_a_day_by_pages_and_architecture() -> None:
    clock = Hands()
    ec2 = Told(clock, "m5.large")
    store = TypeStore(ec2, clock)
    first = await store.types()
    assert (set(first.facts), first.zones) == ({"m5.large"}, {"m5.large": frozenset({"a"})})
    assert [each.pop("operation") for each in ec2.asked] == ["DescribeInstanceTypes", "DescribeInstanceTypeOfferings"]
    types, located = ec2.asked
    filters = {each["Name"]: set(each["Values"]) for each in types["Filters"]}
    assert filters == {
        "supported-virtualization-type": {"hvm"},
        "processor-info.supported-architecture": {"x86_64", "arm64"},
    }
    assert (types["MaxResults"], located["MaxResults"], located["LocationType"]) == (100, 1000, "availability-zone")
    ec2.names = ("m5.large", "c5.large")
    clock.ahead = REFRESHED_EVERY - timedelta(minutes=1)
    assert await store.types() is first
    clock.ahead = REFRESHED_EVERY + timedelta(minutes=1)
    assert set((await store.types()).facts) == {"m5.large", "c5.large"}


async def test_what_was_told_is_kept_while_ec2_does_not_answer_or_tells_none() -> None:
    clock = Hands()
    ec2 = Told(clock, "m5.large")
    store = TypeStore(ec2, clock)
    first = await store.types()
    for answer in (None, ()):
        clock.ahead += REFRESHED_EVERY + timedelta(minutes=1)
        ec2.names = answer
        assert (await store.types()).facts == first.facts
    clock.ahead += REFRESHED_EVERY + timedelta(minutes=1)
    ec2.names = None
    await store.types()
    before = len(ec2.asked)
    await store.types()
    assert len(ec2.asked) == before, "not with every question"
    clock.ahead += RETRIED_AFTER + timedelta(seconds=1)
    ec2.names = ("c5.large",)
    assert set((await store.types()).facts) == {"c5.large"}


async def test_without_any_answer_ever_it_is_an_error() -> None:
    clock = Hands()
    ec2 = Told(clock)
    ec2.names = None
    with pytest.raises(Unavailable):
        await TypeStore(ec2, clock).types()


def test_the_least_memory_that_a_node_had_counts_for_its_image_for_sixty_days() -> None:
    clock = Hands()
    store = TypeStore(Told(clock), clock)
    assert store.memory_of("m5.large", "ami-1") is None
    for memory in (8_000, 7_000, 9_000):
        store.learn_memory("m5.large", "ami-1", memory)
    assert store.memory_of("m5.large", "ami-1") == 7_000
    assert store.memory_of("m5.large", "ami-2") is None
    assert store.memory_version == 2
    clock.ahead = MEMORY_KNOWN_FOR + timedelta(days=1)
    assert store.memory_of("m5.large", "ami-1") is None
