"""What is read of the account that the box does not have: quotas, and a clock that is wrong."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from botocore.exceptions import ClientError

from nodesmith.adapters.aws.client import AwsClient
from nodesmith.install.doctor.awsfacts import Quota
from nodesmith.install.doctor.gather.account import caller, quotas
from nodesmith.ports.errors import PortError

T = TypeVar("T")
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ON_DEMAND = "L-1216C47A"


class StillClock:
    """It is always now."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, duration: timedelta) -> None:
        del duration


class Account:
    """Answers as AWS does; also the maker of clients, since one object will do for all services."""

    def __init__(self, *, changed: dict[str, float], instances: list[dict[str, Any]], date: str = "") -> None:
        self.changed = changed
        self.instances = instances
        self.date = date

    def client(self, service: str, region: str) -> Any:
        del service, region
        return self

    def get_service_quota(self, *, ServiceCode: str, QuotaCode: str) -> Any:  # noqa: N803 - AWS's names
        if QuotaCode in self.changed:
            return {"Quota": {"QuotaName": QuotaCode, "Value": self.changed[QuotaCode]}}
        code = "NoSuchResourceException" if ServiceCode == "ec2" else "AccessDeniedException"
        raise ClientError({"Error": {"Code": code, "Message": "it was never changed"}}, "GetServiceQuota")

    def get_aws_default_service_quota(self, *, ServiceCode: str, QuotaCode: str) -> Any:  # noqa: N803 - AWS's names
        del ServiceCode
        return {"Quota": {"QuotaName": QuotaCode, "Value": 5.0}}

    def describe_instances(self, **_: Any) -> Any:
        return {"Reservations": [{"Instances": self.instances}]}

    def get_caller_identity(self) -> Any:
        headers = {"date": self.date} if self.date else {}
        answer = {"Account": "123456789012", "Arn": "arn:aws-cn:iam::123456789012:user/me"}
        return answer | {"ResponseMetadata": {"HTTPHeaders": headers}}


async def here(call: Callable[[], T]) -> T:
    return call()


def client_of(account: Account) -> AwsClient:
    return AwsClient(account, region="x", clock=StillClock(), run_blocking=here)


def instance(kind: str, cores: int, lifecycle: str = "") -> dict[str, Any]:
    stated = {"InstanceType": kind, "CpuOptions": {"CoreCount": cores, "ThreadsPerCore": 2}}
    return stated | ({"InstanceLifecycle": lifecycle} if lifecycle else {})


async def test_running_standard_vcpus_are_counted_by_the_terms_they_run_on() -> None:
    running = [
        instance("m5.large", 1),
        instance("t3.large", 1),
        instance("c5.xlarge", 2, "spot"),
        instance("p4d.24x", 48),
    ]
    found = await quotas(client_of(Account(changed={ON_DEMAND: 64.0}, instances=running)))
    assert found == (Quota(ON_DEMAND, 64, 4), Quota("L-34B43A08", 5, 4))


async def test_a_quota_that_may_not_be_read_is_an_error_and_not_nothing() -> None:
    class Closed(Account):
        def get_service_quota(self, **_: Any) -> Any:
            return super().get_service_quota(ServiceCode="other", QuotaCode="x")

    with pytest.raises(PortError, match="AccessDenied"):
        await quotas(client_of(Closed(changed={}, instances=[])))


@pytest.mark.parametrize(
    ("date", "ahead"),
    [
        ("Thu, 01 Jan 2026 12:06:00 GMT", timedelta(minutes=6)),
        ("Thu, 01 Jan 2026 11:59:30 GMT", timedelta(seconds=-30)),
        ("", None),
    ],
)
async def test_aws_clock_is_compared_with_ours(date: str, ahead: timedelta | None) -> None:
    found = await caller(client_of(Account(changed={}, instances=[], date=date)), StillClock())
    assert (found.clock_ahead, found.account, found.partition) == (ahead, "123456789012", "aws-cn")
