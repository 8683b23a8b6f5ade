from typing import Any

import pytest

from nodesmith.adapters.telemetry.cloud import MeteredCloud
from nodesmith.adapters.telemetry.logs import StructuredLog
from nodesmith.adapters.telemetry.metrics import PrometheusMetrics
from nodesmith.ports.cloud import Machine
from nodesmith.ports.errors import CapacityUnavailable, NotFound, PortError, Unavailable
from tests.unit.adapters.kubernetes.manual import ManualClock


class OneMachine:
    """A cloud that takes two seconds to answer."""

    def __init__(self, clock: ManualClock, error: PortError | None) -> None:
        self._clock = clock
        self._error = error

    async def get(self, provider_id: str) -> Machine:
        self._clock.freeze(2)
        if self._error is not None:
            raise self._error
        return Machine(provider_id, "t4g.small", "a", "spot")


def metered(error: PortError | None) -> tuple[MeteredCloud, PrometheusMetrics]:
    clock = ManualClock()
    metrics = PrometheusMetrics(clock, StructuredLog(lambda _: None))
    cloud: Any = OneMachine(clock, error)
    return MeteredCloud(cloud, clock, metrics), metrics


async def test_a_call_is_timed_and_its_answer_passed_on() -> None:
    cloud, metrics = metered(None)
    assert (await cloud.get("i-1")).provider_id == "i-1"
    text = metrics.text()[0].decode()
    assert 'karpenter_cloudprovider_duration_seconds_sum{controller="",method="Get",provider="aws"} 2.0' in text
    assert "karpenter_cloudprovider_errors_total" not in text


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (NotFound("gone"), "NodeClaimNotFoundError"),
        (CapacityUnavailable("none"), "InsufficientCapacityError"),
        (Unavailable("down"), ""),
    ],
)
async def test_errors_are_counted_by_upstreams_names_and_passed_on(error: PortError, name: str) -> None:
    cloud, metrics = metered(error)
    with pytest.raises(type(error)):
        await cloud.get("i-1")
    labels = f'controller="",error="{name}",method="Get",provider="aws"'
    assert f"karpenter_cloudprovider_errors_total{{{labels}}} 1.0" in metrics.text()[0].decode()
