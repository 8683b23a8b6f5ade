"""Without endpoints of IAM and Pricing, as in a VPC that reaches neither: a condition to read, and machines all the same."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import boto3
import pytest

from nodesmith.adapters.aws.client import SessionClients
from nodesmith.adapters.aws.cloud import AwsCloud
from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.model.labels import ON_DEMAND
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.sim.aws.control import FaultRule
from tests.functional.aws.conftest import NAMES, REGION, ROLE, SPEC, Bench, assume, claim_of, forget_prices
from tests.functional.aws.test_node_class import Hasty, said

GIVEN = replace(NodePool(meta=ObjectMeta("x")).node_class, name="given")
POOL = NodePool(meta=ObjectMeta("given"), node_class=GIVEN)


def make_profile(bench: Bench) -> None:
    """Somebody with access to IAM has made a profile by hand."""
    iam = bench.owner("iam")
    iam.create_instance_profile(InstanceProfileName="given")
    iam.add_role_to_instance_profile(InstanceProfileName="given", RoleName=ROLE)


def given_profile(bench: Bench) -> EC2NodeClass:
    """A class that names it."""
    spec = {key: value for key, value in SPEC.items() if key != "role"}
    return bench.node_class({**spec, "instanceProfile": "given"}, "given")


def claim_of_given(name: str) -> NodeClaim:
    return replace(claim_of(name), node_class=GIVEN)


async def test_without_an_iam_endpoint_there_is_a_condition_and_no_crash(bench: Bench) -> None:
    bench.cloud = bench.another()
    bench.cloud.client._clock = Hasty()
    await asyncio.to_thread(
        bench.control.faults, FaultRule("iam:*", "error", 1.0, code="ServiceUnavailable", status=503)
    )
    status = await bench.cloud.resolve(bench.node_class(SPEC, "fresh"))
    profile = status.conditions["InstanceProfileReady"]
    assert (profile.status, profile.reason) == ("Unknown", "InstanceProfileResolutionFailed")
    assert status.conditions["Ready"].status == "Unknown"
    assert status.conditions["SubnetsReady"].is_true


async def test_an_isolated_vpc_asks_for_no_price_and_no_profile(bench: Bench) -> None:
    isolated = replace(bench.settings, is_isolated_vpc=True)
    cloud = bench.another(isolated)
    forget_prices(cloud)
    make_profile(bench)
    seen = len(bench.calls())
    await cloud.prices.refresh()
    status = await cloud.resolve(bench.node_class(SPEC))
    assert status.conditions["InstanceProfileReady"].reason == "IsolatedVPC"
    status = await cloud.resolve(given_profile(bench))
    assert said(status) == {}
    bench.objects.classes["given"] = replace(given_profile(bench), status=status)
    machine = await cloud.create(claim_of_given("default-a"))
    await cloud.delete(machine.provider_id)
    await cloud.maintain()
    await cloud.release(bench.objects.classes["given"])
    asked = {call.name for call in bench.calls()[seen:] if "/root" not in call.caller}
    assert "ec2:CreateFleet" in asked
    assert not {name for name in asked if name.startswith(("iam:", "pricing:"))}
    t4g = next(each for each in await cloud.instance_types(POOL) if each.name == "t4g.large")
    regular = next(each for each in t4g.offerings if each.capacity_type == ON_DEMAND)
    assert regular.is_estimate
    assert regular.price is not None


async def test_nobody_answers_for_iam_and_pricing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nobody said that the VPC is isolated: the controller starts, says what it lacks, and buys where it can."""
    make_profile(bench)
    bench.owner("sqs").create_queue(QueueName=NAMES.queue)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", bench.control.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_IAM", nowhere)
        monkeypatch.setenv("AWS_ENDPOINT_URL_PRICING", nowhere)
        keys = assume(replace(NAMES, chosen_controller_role="cut-off"), bench.owner)
        session = boto3.session.Session(
            keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name=REGION
        )
        cloud = AwsCloud(
            bench.settings,
            clients=SessionClients(session),
            objects=bench.objects,
            clock=Hasty(),
            run_blocking=bench.threads,
            metrics=bench.metrics,
        )
        await cloud.start()
        assert "on-demand prices are estimates" in cloud.prices.caveat
        assert "pricing" in cloud.prices.problem.lower() or nowhere in cloud.prices.problem
        profile = (await cloud.resolve(bench.node_class(SPEC, "fresh"))).conditions["InstanceProfileReady"]
        assert (profile.status, profile.reason) == ("Unknown", "InstanceProfileResolutionFailed")
        status = await cloud.resolve(given_profile(bench))
        assert said(status) == {}
        bench.objects.classes["given"] = replace(given_profile(bench), status=status)
        machine = await cloud.create(claim_of_given("default-a"))
        assert machine.capacity_type == ON_DEMAND
