"""Least privilege: a controller with the installer's policies does everything, and nothing else is needed."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import boto3
import pytest

from nodesmith.adapters.aws.client import SessionClients
from nodesmith.adapters.aws.cloud import AwsCloud
from nodesmith.adapters.aws.queue import SqsQueue
from nodesmith.adapters.clock import RealClock
from nodesmith.install.names import Names
from nodesmith.install.policies import controller_policies
from nodesmith.model.labels import ON_DEMAND, SPOT
from nodesmith.ports.errors import PortError
from tests.functional.aws.conftest import CLUSTER, REGION, ROLE, SPEC, Bench, claim_of

ACCOUNT = "123456789012"
ANYONE = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}]}
)


async def controller(bench: Bench, names: Names) -> AwsCloud:
    """A cloud that acts with the controller's role and nothing more."""
    client = bench.cloud.client
    await client.call("iam", "CreateRole", RoleName=names.controller_role, AssumeRolePolicyDocument=ANYONE)
    for name, document in controller_policies(names).items():
        await client.call(
            "iam", "PutRolePolicy", RoleName=names.controller_role, PolicyName=name, PolicyDocument=json.dumps(document)
        )
    assumed = await client.call(
        "sts", "AssumeRole", RoleArn=names.role_arn(names.controller_role), RoleSessionName="controller"
    )
    keys = assumed["Credentials"]
    session = boto3.session.Session(
        keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name=REGION
    )
    cloud = AwsCloud(
        replace(bench.settings, interruption_queue=names.queue),
        clients=SessionClients(session, endpoint_url=bench.control.url),
        objects=bench.objects,
        clock=RealClock(),
        run_blocking=bench.threads,
        metrics=bench.metrics,
    )
    bench.remember(cloud)
    return cloud


async def test_the_controllers_policy_allows_all_that_it_does(bench: Bench) -> None:
    issuer = "https://oidc.eks.example/id/1"
    names = Names(CLUSTER, ACCOUNT, REGION, issuer)
    assert names.node_role == ROLE
    await bench.cloud.client.call("sqs", "CreateQueue", QueueName=names.queue)
    await bench.cloud.release(bench.objects.classes["default"])
    bench.cloud = cloud = await controller(bench, names)
    await asyncio.to_thread(bench.control.enforce_iam, on=True)
    try:
        await cloud.start()
        await cloud.prices.refresh()
        cloud.types._cache.clear()
        status = await bench.adopt(bench.node_class({**SPEC, "capacityReservationSelectorTerms": [{"id": "cr-1"}]}))
        assert {each.type: each.message for each in status.conditions.values() if not each.is_true} == {}
        claims = [claim_of(f"default-{number}", terms=(SPOT, ON_DEMAND)) for number in range(2)]
        machines = [await cloud.create(claim) for claim in claims]
        await cloud.tag(machines[0].provider_id, {"Name": "node", "karpenter.sh/nodeclaim": claims[0].name})
        with pytest.raises(PortError, match="UnauthorizedOperation"):
            await cloud.tag(machines[0].provider_id, {"other": "tag"})
        await cloud.sick_instances()
        queue = cloud.queue()
        assert isinstance(queue, SqsQueue)
        for machine in machines:
            await cloud.delete(machine.provider_id)
        await cloud.release(bench.objects.classes["default"])
        await cloud._profiles.collect(())
    finally:
        await asyncio.to_thread(bench.control.enforce_iam, on=False)
    refused = [
        (call.name, call.error) for call in bench.calls() if call.error in {"AccessDenied", "UnauthorizedOperation"}
    ]
    assert refused == [("ec2:CreateTags", "UnauthorizedOperation")]


async def test_an_instance_of_another_cluster_is_out_of_reach(bench: Bench) -> None:
    names = Names("another", ACCOUNT, REGION, "https://oidc.eks.example/id/1")
    machine = await bench.cloud.create(claim_of("default-a"))
    foreign = await controller(bench, names)
    await asyncio.to_thread(bench.control.enforce_iam, on=True)
    try:
        with pytest.raises(PortError, match="UnauthorizedOperation"):
            await foreign.delete(machine.provider_id)
    finally:
        await asyncio.to_thread(bench.control.enforce_iam, on=False)
