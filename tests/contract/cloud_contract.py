"""What every `Cloud` does, in memory or AWS. A subclass gives the `harness` fixture; its tests are these."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.model.labels import CAPACITY_TYPE, INSTANCE_TYPE, NODEPOOL, ON_DEMAND, SPOT, ZONE
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.model.resources import Resources, fits
from nodesmith.ports.cloud import Cloud
from nodesmith.ports.errors import CapacityUnavailable, NodeClassNotReady, NotFound

GIB = 2**30


@dataclass
class CloudHarness:
    """A cloud under test, with a NodeClass called `default` that is ready.

    `exhaust` leaves a pool (type, zone, capacity type; `*` for any) without machines; `spoil` makes the NodeClass
    unready; `settle` lets so much time pass that a machine that is going is gone.
    """

    cloud: Cloud
    node_class: EC2NodeClass
    types: tuple[str, str]
    """Two types that the cloud has, the cheaper one first."""
    zone: str
    exhaust: Callable[[str, str, str], Awaitable[None]]
    spoil: Callable[[], Awaitable[None]]
    settle: Callable[[], Awaitable[None]]


def claim_for(
    harness: CloudHarness,
    name: str = "default-a",
    *,
    capacity_types: tuple[str, ...] = (ON_DEMAND, SPOT),
    types: tuple[str, ...] = (),
    requests: Resources | None = None,
) -> NodeClaim:
    wanted = {
        INSTANCE_TYPE: frozenset(types or harness.types),
        CAPACITY_TYPE: frozenset(capacity_types),
        ZONE: frozenset((harness.zone,)),
    }
    return NodeClaim(
        meta=ObjectMeta(name, uid=f"uid-{name}", labels={NODEPOOL: "default"}),
        requirements=Requirements.of(Requirement(key, values) for key, values in wanted.items()),
        requests=requests or {"cpu": 500, "memory": GIB // 2, "pods": 1},
    )


class CloudContract:
    """Inherit and provide `harness`."""

    async def test_a_machine_fits_its_claim(self, harness: CloudHarness) -> None:
        claim = claim_for(harness)
        machine = await harness.cloud.create(claim)
        assert machine.provider_id.startswith(f"aws:///{harness.zone}/i-")
        assert machine.instance_type in harness.types
        assert (machine.zone, machine.claim_name, machine.pool_name) == (harness.zone, claim.name, "default")
        assert machine.labels[INSTANCE_TYPE] == machine.instance_type
        assert machine.labels[CAPACITY_TYPE] == machine.capacity_type
        assert machine.labels[ZONE] == harness.zone
        assert fits(claim.requests, machine.allocatable)
        assert all(machine.allocatable[name] <= machine.capacity[name] for name in machine.allocatable)
        assert machine.image_id.startswith("ami-")

    async def test_spot_goes_before_on_demand_where_both_are_allowed(self, harness: CloudHarness) -> None:
        assert (await harness.cloud.create(claim_for(harness))).capacity_type == SPOT
        only = claim_for(harness, "default-b", capacity_types=(ON_DEMAND,))
        assert (await harness.cloud.create(only)).capacity_type == ON_DEMAND

    async def test_the_cheapest_type_is_taken_on_demand(self, harness: CloudHarness) -> None:
        machine = await harness.cloud.create(claim_for(harness, capacity_types=(ON_DEMAND,)))
        assert machine.instance_type == harness.types[0]

    async def test_a_claim_has_one_machine_however_often_it_is_asked_for(self, harness: CloudHarness) -> None:
        first = await harness.cloud.create(claim_for(harness))
        second = await harness.cloud.create(claim_for(harness))
        assert second.provider_id == first.provider_id
        assert [each.provider_id for each in await harness.cloud.list()] == [first.provider_id]

    async def test_a_dry_pool_is_gone_around(self, harness: CloudHarness) -> None:
        await harness.exhaust(harness.types[0], "*", "*")
        machine = await harness.cloud.create(claim_for(harness, capacity_types=(ON_DEMAND,)))
        assert machine.instance_type == harness.types[1]

    async def test_without_capacity_the_claim_is_given_up(self, harness: CloudHarness) -> None:
        await harness.exhaust("*", "*", "*")
        with pytest.raises(CapacityUnavailable):
            await harness.cloud.create(claim_for(harness))
        assert not await harness.cloud.list()

    async def test_a_pool_found_dry_is_not_offered_for_a_while(self, harness: CloudHarness) -> None:
        cheap = harness.types[0]
        await harness.exhaust(cheap, "*", SPOT)
        await harness.cloud.create(claim_for(harness, types=(cheap,)))
        offered = {
            offering.capacity_type: offering.is_available
            for each in await harness.cloud.instance_types(self._pool())
            if each.name == cheap
            for offering in each.offerings
            if offering.zone == harness.zone
        }
        assert offered == {SPOT: False, ON_DEMAND: True}

    async def test_what_an_interruption_told_is_believed(self, harness: CloudHarness) -> None:
        cheap = harness.types[0]
        harness.cloud.mark_unavailable(instance_type=cheap, zone=harness.zone, capacity_type=SPOT)
        machine = await harness.cloud.create(claim_for(harness, types=(cheap,)))
        assert machine.capacity_type == ON_DEMAND

    async def test_a_node_class_that_is_not_ready_launches_nothing(self, harness: CloudHarness) -> None:
        await harness.spoil()
        with pytest.raises(NodeClassNotReady):
            await harness.cloud.create(claim_for(harness))
        with pytest.raises(NodeClassNotReady):
            await harness.cloud.instance_types(self._pool())

    async def test_a_machine_goes(self, harness: CloudHarness) -> None:
        machine = await harness.cloud.create(claim_for(harness))
        assert (await harness.cloud.get(machine.provider_id)).claim_name == "default-a"
        await harness.cloud.delete(machine.provider_id)
        await harness.settle()
        with pytest.raises(NotFound):
            await harness.cloud.get(machine.provider_id)
        with pytest.raises(NotFound):
            await harness.cloud.delete(machine.provider_id)
        assert not await harness.cloud.list()

    async def test_a_machine_that_never_was_is_not_found(self, harness: CloudHarness) -> None:
        unknown = f"aws:///{harness.zone}/i-0badbadbadbadbad0"
        with pytest.raises(NotFound):
            await harness.cloud.get(unknown)
        with pytest.raises(NotFound):
            await harness.cloud.delete(unknown)
        with pytest.raises(NotFound):
            await harness.cloud.tag(unknown, {"a": "b"})

    async def test_a_fresh_machine_has_not_drifted(self, harness: CloudHarness) -> None:
        claim = claim_for(harness)
        machine = await harness.cloud.create(claim)
        launched = NodeClaim(
            claim.meta, claim.requirements, claim.requests, provider_id=machine.provider_id, image_id=machine.image_id
        )
        assert await harness.cloud.drift_of(launched) is None
        await harness.cloud.tag(machine.provider_id, {"Name": "a"})

    async def test_the_catalog_is_priced(self, harness: CloudHarness) -> None:
        types = await harness.cloud.instance_types(self._pool())
        assert set(harness.types) <= {each.name for each in types}
        for each in types:
            assert each.capacity["cpu"] >= each.allocatable["cpu"] > 0
            assert each.requirements.get(INSTANCE_TYPE).allows(each.name)
            assert each.offerings

    async def test_a_ready_node_class_resolves(self, harness: CloudHarness) -> None:
        status = await harness.cloud.resolve(harness.node_class)
        assert all(condition.is_true for condition in status.conditions.values())
        assert status.conditions["Ready"].is_true
        assert harness.zone in {subnet.zone for subnet in status.subnets}
        assert status.security_groups
        assert status.amis
        assert status.instance_profile

    async def test_some_node_conditions_call_for_repair(self, harness: CloudHarness) -> None:
        policies = harness.cloud.repair_policies()
        assert ("Ready", "False") in {(each.condition_type, each.condition_status) for each in policies}

    @staticmethod
    def _pool() -> NodePool:
        return NodePool(meta=ObjectMeta("default"))
