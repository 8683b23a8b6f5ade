"""Launching through the box: batches, faults, restarts, what is not visible yet."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TypeVar

import pytest

from nodesmith.adapters.clock import RealClock
from nodesmith.model.labels import CAPACITY_TYPE, INSTANCE_TYPE, ON_DEMAND, SPOT, ZONE
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.ports.cloud import Machine
from nodesmith.ports.errors import CapacityUnavailable, CreateFailed, NodeClassNotReady, NotFound, PortError
from nodesmith.sim.aws.control import FaultRule, PoolRule
from tests.functional.aws.conftest import SPEC, Bench, claim_of

T = TypeVar("T")


async def all_of(bench: Bench, claims: list[NodeClaim]) -> list[Machine]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(bench.cloud.create(claim)) for claim in claims]
    return [task.result() for task in tasks]


async def test_twenty_claims_share_their_calls(bench: Bench) -> None:
    claims = [claim_of(f"default-{number:05d}") for number in range(20)]
    machines = await all_of(bench, claims)
    assert len({each.provider_id for each in machines}) == 20
    assert [each.claim_name for each in machines] == [claim.name for claim in claims]
    calls = Counter(call.name for call in bench.calls() if not call.params.get("DryRun"))
    # 256 characters of tag hold 18 names of 13 characters.
    assert calls["ec2:CreateFleet"] == 2
    assert calls["ec2:DescribeInstances"] == 1
    # One for each number of pods, and the one that the validation made.
    assert calls["ec2:CreateLaunchTemplate"] == 3
    async with asyncio.TaskGroup() as group:
        for machine in machines:
            group.create_task(bench.cloud.delete(machine.provider_id))
    calls = Counter(call.name for call in bench.calls())
    assert (calls["ec2:DescribeInstances"], calls["ec2:TerminateInstances"]) == (2, 1)
    assert not await bench.cloud.list()


async def test_claims_of_four_kinds_are_four_fleets(bench: Bench) -> None:
    kinds = (("t4g.large",), ("m7g.large",), ("t4g.large", "m7g.large"), ("m7g.xlarge",))
    claims = [claim_of(f"default-{number:05d}", types=kinds[number % 4]) for number in range(20)]
    before = len(bench.calls())
    machines = await all_of(bench, claims)
    assert [each.claim_name for each in machines] == [claim.name for claim in claims]
    assert {each.instance_type for each in machines[3::4]} == {"m7g.xlarge"}
    calls = Counter(call.name for call in bench.calls()[before:])
    assert calls == {"ec2:DescribeInstances": 1, "ec2:CreateLaunchTemplate": 3, "ec2:CreateFleet": 4}


async def test_the_controller_that_starts_again_finds_every_instance_of_a_shared_launch(bench: Bench) -> None:
    claims = [claim_of(f"default-{number:05d}") for number in range(20)]
    launched = await all_of(bench, claims)
    bench.cloud = bench.another()
    adopted = await all_of(bench, list(reversed(claims)))
    assert {each.claim_name: each.provider_id for each in adopted} == {
        each.claim_name: each.provider_id for each in launched
    }
    assert {each.claim_name: each.labels for each in adopted} == {each.claim_name: each.labels for each in launched}
    assert len(await bench.cloud.list()) == 20


async def test_a_controller_may_end_at_any_moment_of_a_launch(bench: Bench) -> None:
    clock = RealClock()
    claims: list[NodeClaim] = []
    for moment in (5, 30, 60, 120, 250):
        some = [
            claim_of(f"after-{moment}-{number}", types=("t4g.large", "m7g.large")[: 1 + number % 2])
            for number in range(6)
        ]
        claims += some
        tasks = [asyncio.create_task(bench.cloud.create(claim)) for claim in some]  # noqa: TID251 - they are cut off
        await clock.sleep(timedelta(milliseconds=moment))
        for task in tasks:
            task.cancel()
        # What was on its way to AWS when the process ended arrives; the next leader takes longer than that to come.
        await clock.sleep(timedelta(seconds=1))
        bench.cloud = bench.another()
    machines = await all_of(bench, claims)
    ids = {each.provider_id for each in machines}
    assert [each.claim_name for each in machines] == [claim.name for claim in claims]
    assert len(ids) == len(claims)
    assert {each.provider_id for each in await bench.cloud.list()} == ids
    await bench.cloud.maintain()
    templates = bench.owner("ec2").describe_launch_templates()["LaunchTemplates"]
    assert {each["LaunchTemplateName"] for each in templates} <= bench.cloud._templates._known._values.keys()


async def test_a_claim_whose_instance_is_gone_gets_another(bench: Bench) -> None:
    claim = claim_of("default-a")
    first = await bench.cloud.create(claim)
    await bench.cloud.delete(first.provider_id)
    second = await bench.cloud.create(claim)
    assert second.provider_id != first.provider_id
    assert (await bench.cloud.create(claim)).provider_id == second.provider_id


async def test_nothing_is_lost_or_doubled_while_a_fifth_of_the_calls_fails(bench: Bench) -> None:
    await asyncio.to_thread(
        bench.control.faults,
        FaultRule("ec2:*", "lost-reply", 0.06),
        FaultRule("ec2:*", "error", 0.08),
        FaultRule("ec2:*", "throttle", 0.08),
    )
    claims = [
        claim_of(f"pool-{number % 7}-{number:05d}", types=("t4g.large", "m7g.large")[: 1 + number % 2])
        for number in range(1000)
    ]

    async def insist(act: Callable[[], Awaitable[T]]) -> T:
        """As a controller does: what failed is done again."""
        for _ in range(12):
            try:
                return await act()
            except NotFound:
                raise
            except PortError:
                continue
        raise AssertionError

    async def for_each(acts: Iterable[Callable[[], Awaitable[T]]]) -> list[T]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(insist(act)) for act in acts]
        return [task.result() for task in tasks]

    async def end(provider_id: str) -> None:
        with suppress(NotFound):
            await bench.cloud.delete(provider_id)

    machines = await for_each(partial(bench.cloud.create, claim) for claim in claims)
    ids = {each.provider_id for each in machines}
    assert len(ids) == 1000
    assert {each.provider_id for each in await insist(bench.cloud.list)} == ids
    described = await for_each(partial(bench.cloud.get, each.provider_id) for each in machines)
    assert [each.provider_id for each in described] == [each.provider_id for each in machines]
    await for_each(partial(end, each.provider_id) for each in machines)
    assert not await insist(bench.cloud.list)
    calls = bench.calls()
    assert any(call.name == "ec2:CreateFleet" and call.error for call in calls)
    assert sum(call.error is not None for call in calls) > len(calls) / 10


async def test_part_of_a_shared_launch_may_fail(bench: Bench) -> None:
    await asyncio.to_thread(bench.control.ice, PoolRule(left=2))
    claims = [claim_of(f"default-{number:05d}", types=("t4g.large",)) for number in range(4)]
    outcome = await asyncio.gather(*(bench.cloud.create(claim) for claim in claims), return_exceptions=True)  # noqa: TID251 - failures are what is looked at
    made = [each for each in outcome if isinstance(each, Machine)]
    assert [each.claim_name for each in made] == ["default-00000", "default-00001"]
    assert all(isinstance(each, CapacityUnavailable) for each in outcome if not isinstance(each, Machine))


async def test_on_demand_follows_where_spot_is_not_to_be_had(bench: Bench) -> None:
    await asyncio.to_thread(bench.control.ice, PoolRule(capacity_type=SPOT))
    machine = await bench.cloud.create(claim_of("default-a", terms=(SPOT, ON_DEMAND)))
    assert machine.capacity_type == ON_DEMAND
    with pytest.raises(CapacityUnavailable):
        await bench.cloud.create(claim_of("default-b", terms=(SPOT,)))


async def test_few_types_are_warned_of_where_on_demand_stands_in_for_spot(bench: Bench) -> None:
    await bench.cloud.create(claim_of("default-a"))
    assert not bench.log.told
    await asyncio.to_thread(bench.control.ice, PoolRule(capacity_type=SPOT))
    await bench.cloud.create(claim_of("default-b", terms=(SPOT, ON_DEMAND)))
    ((_, fields),) = bench.log.told
    assert fields == {"NodeClaim": "default-b", "instance_types": 2}


async def test_what_was_made_a_moment_ago_may_not_be_seen_yet(bench: Bench) -> None:
    await asyncio.to_thread(bench.control.faults, FaultRule("ec2:CreateFleet", "eventual", 1.0, window_s=1.0))
    machine = await bench.cloud.create(claim_of("default-a"))
    assert machine.claim_name == "default-a"


async def test_a_launch_template_that_somebody_deleted_is_made_again(bench: Bench) -> None:
    first = await bench.cloud.create(claim_of("default-a"))
    name = bench.calls("ec2:CreateLaunchTemplate")[-1].params["LaunchTemplateName"]
    bench.owner("ec2").delete_launch_template(LaunchTemplateName=name)
    second = await bench.cloud.create(claim_of("default-b"))
    assert first.provider_id != second.provider_id


async def test_a_machine_carries_its_tags_and_its_disks_too(bench: Bench) -> None:
    await bench.adopt(bench.node_class({**SPEC, "tags": {"team": "web", "Name": "ours"}}))
    machine = await bench.cloud.create(claim_of("default-a", terms=(SPOT,)))
    await bench.cloud.tag(machine.provider_id, {"Name": "node", "karpenter.sh/nodeclaim": "default-a"})
    assert not bench.calls("ec2:CreateTags"), "it has both"
    wanted = {
        "team": "web",
        "Name": "ours",
        "karpenter.sh/nodepool": "default",
        "karpenter.k8s.aws/ec2nodeclass": "default",
        "eks:eks-cluster-name": "demo",
        "kubernetes.io/cluster/demo": "owned",
    }
    raw = await bench.cloud.client.call(
        "ec2", "DescribeInstances", InstanceIds=[machine.provider_id.rpartition("/")[2]]
    )
    (instance,) = raw["Reservations"][0]["Instances"]
    tags = {each["Key"]: each["Value"] for each in instance["Tags"]}
    assert wanted.items() <= tags.items()
    assert tags["karpenter.sh/nodeclaim"] == "default-a"
    volume = instance["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    raw = bench.owner("ec2").describe_volumes(VolumeIds=[volume])
    assert wanted.items() <= {each["Key"]: each["Value"] for each in raw["Volumes"][0]["Tags"]}.items()
    (group,) = bench.objects.classes["default"].status.security_groups[:1]
    assert group.id in {each["GroupId"] for each in instance["SecurityGroups"]}
    assert bench.objects.classes["default"].status.instance_profile in instance["IamInstanceProfile"]["Arn"]
    assert instance["MetadataOptions"]["HttpTokens"] == "required"


async def test_a_spot_instance_says_that_it_is_one(bench: Bench) -> None:
    made = await bench.cloud.create(claim_of("default-a", terms=(SPOT,)))
    told = await bench.cloud.get(made.provider_id)
    assert (made.capacity_type, told.capacity_type) == (SPOT, SPOT)
    for label in (INSTANCE_TYPE, ZONE, CAPACITY_TYPE):
        assert told.labels[label] == made.labels[label]


async def test_a_restricted_tag_is_not_launched_with(bench: Bench) -> None:
    node_class = bench.objects.classes["default"]
    spec = bench.node_class({**SPEC, "tags": {"karpenter.sh/nodepool": "mine"}}).spec
    bench.objects.classes["default"] = replace(node_class, spec=spec)
    with pytest.raises(NodeClassNotReady, match=r"karpenter\.sh/nodepool"):
        await bench.cloud.create(claim_of("default-a"))


async def test_a_claim_of_no_node_class_is_given_up(bench: Bench) -> None:
    bench.objects.classes.clear()
    with pytest.raises(CapacityUnavailable):
        await bench.cloud.create(claim_of("default-a"))


async def test_an_image_that_is_gone_is_a_reason_to_show(bench: Bench) -> None:
    await asyncio.to_thread(
        bench.control.faults, FaultRule("ec2:CreateFleet", "error", 1.0, code="InvalidParameterValue", status=400)
    )
    with pytest.raises(CreateFailed) as failed:
        await bench.cloud.create(claim_of("default-a"))
    assert failed.value.reason == "LaunchFailed"


async def test_a_machine_that_is_going_is_not_asked_to_go_again(bench: Bench) -> None:
    machine = await bench.cloud.create(claim_of("default-a"))
    await bench.cloud.delete(machine.provider_id)
    with pytest.raises(NotFound):
        await bench.cloud.delete(machine.provider_id)
    assert len(bench.calls("ec2:TerminateInstances")) == 1
