from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from nodesmith.sim.aws import account
from nodesmith.sim.aws.box import Box
from nodesmith.sim.aws.process import BoxProcess

NOON = datetime(2026, 7, 10, 12, tzinfo=UTC)


async def test_a_box_of_its_own_is_steered_over_http_alone() -> None:
    async with BoxProcess(seed=3) as box:
        client = account.clients(box.url, box.region)
        base = account.prepare(box.url, client=client)
        control, ec2 = box.control, client("ec2")
        assert control.set_clock(NOON) == NOON
        control.timing(pending=timedelta(seconds=10))
        image = "/aws/service/bottlerocket/aws-k8s-1.35/arm64/latest/image_id"
        made = ec2.run_instances(
            ImageId=client("ssm").get_parameter(Name=image)["Parameter"]["Value"],
            InstanceType="t4g.small",
            SubnetId=base.subnet_ids["ap-northeast-2a"],
            MinCount=1,
            MaxCount=1,
        )["Instances"][0]["InstanceId"]

        def state() -> str:
            return str(ec2.describe_instances(InstanceIds=[made])["Reservations"][0]["Instances"][0]["State"]["Name"])

        assert state() == "pending"
        assert control.advance(timedelta(seconds=10)) == NOON + timedelta(seconds=10)
        assert state() == "running"
        control.reset()
        assert not control.inventory().of("instances")
        assert control.now() == NOON + timedelta(seconds=10)
        for service in ("ec2", "ssm", "iam", "eks"):
            client(service).close()
    with pytest.raises(RuntimeError, match="not running"):
        _ = box.url


def test_one_box_a_process(running: Box) -> None:
    assert running.url
    with pytest.raises(RuntimeError, match="another box"):
        Box().start()
