"""Which instances EC2's status calls sick, what is asked for that, and which node conditions call for repair."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from nodesmith.adapters.aws.blocking import run_inline
from nodesmith.adapters.aws.client import AwsClient
from nodesmith.adapters.aws.cloud import REPAIR_POLICIES
from nodesmith.adapters.aws.health import HealthCategory, InstanceHealth, parse_status
from nodesmith.adapters.clock import RealClock
from nodesmith.model.meta import EPOCH

CODES = ("instance-reboot", "system-reboot", "system-maintenance", "instance-retirement", "instance-stop")


def check(status: str = "impaired", *, detail: str = "failed", for_s: float | None = 120) -> dict[str, Any]:
    since = {} if for_s is None else {"ImpairedSince": EPOCH - timedelta(seconds=for_s)}
    return {"Status": status, "Details": [{"Name": "reachability", "Status": detail, **since}]}


def event(code: str, description: str = "") -> dict[str, Any]:
    return {"Code": code, "Description": description, "NotBefore": EPOCH + timedelta(days=9)}


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        ({"InstanceStatus": check()}, HealthCategory.INSTANCE_STATUS),
        ({"SystemStatus": check()}, HealthCategory.SYSTEM_STATUS),
        ({"InstanceStatus": check(for_s=119)}, None),
        ({"SystemStatus": check(for_s=119)}, None),
        ({"InstanceStatus": check(detail="passed")}, None),
        ({"InstanceStatus": check("ok"), "SystemStatus": check("ok", detail="passed")}, None),
        ({"AttachedEbsStatus": check()}, None),
        *[({"Events": [event(code)]}, HealthCategory.EVENT_STATUS) for code in CODES],
        ({"Events": [event("something-else")]}, None),
        ({"Events": [event("instance-stop", "[Completed] done")]}, None),
        ({"Events": [event("instance-stop", "[Canceled] never mind")]}, None),
        ({"InstanceStatus": check(), "Events": [event("instance-stop")]}, HealthCategory.INSTANCE_STATUS),
    ],
)
def test_a_status_says_who_is_sick_and_who_goes_by_force(raw: dict[str, Any], wanted: HealthCategory | None) -> None:
    found = parse_status({"InstanceId": "i-1", **raw}, EPOCH)
    assert (found.category if found else None) is wanted
    assert found is None or found.is_forceful is (wanted is not HealthCategory.EVENT_STATUS)


class Asked(AwsClient):
    """EC2, to which all is well, and what it was asked."""

    def __init__(self) -> None:
        super().__init__(_Nobody(), region="r", clock=RealClock(), run_blocking=run_inline)
        self.filters: list[list[dict[str, Any]]] = []

    async def everything(
        self, service: str, operation: str, items: str, *, region: str = "", **parameters: Any
    ) -> list[Any]:
        assert (service, operation) == ("ec2", "DescribeInstanceStatus")
        self.filters.append(parameters["Filters"])
        return []


class _Nobody:
    def client(self, service: str, region: str) -> Any:
        raise AssertionError((service, region))


async def test_three_questions_are_asked_since_filters_are_anded() -> None:
    ec2 = Asked()
    assert await InstanceHealth(ec2, RealClock()).sick() == []
    assert ec2.filters == [
        [{"Name": "instance-status.status", "Values": ["impaired"]}],
        [{"Name": "system-status.status", "Values": ["impaired"]}],
        [{"Name": "event.code", "Values": list(CODES)}],
    ]


def test_the_conditions_that_call_for_repair_are_upstreams() -> None:
    half_an_hour = [
        ("Ready", "False"),
        ("Ready", "Unknown"),
        ("StorageReady", "False"),
        ("NetworkingReady", "False"),
        ("KernelReady", "False"),
        ("ContainerRuntimeReady", "False"),
    ]
    wanted = {(*each, timedelta(minutes=30)) for each in half_an_hour}
    wanted.add(("AcceleratedHardwareReady", "False", timedelta(minutes=10)))
    assert {(each.condition_type, each.condition_status, each.toleration) for each in REPAIR_POLICIES} == wanted
