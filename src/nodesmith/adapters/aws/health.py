"""What EC2 says of instances' health: failed checks and scheduled events (spec 7.12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from nodesmith.adapters.aws.client import AwsClient
from nodesmith.ports.clock import Clock

IMPAIRED_FOR: Final = timedelta(seconds=120)
"""A failed check counts when it has failed for so long."""

_EVENT_CODES: Final = (
    "instance-reboot",
    "system-reboot",
    "system-maintenance",
    "instance-retirement",
    "instance-stop",
)
_QUESTIONS: Final = (
    {"Name": "instance-status.status", "Values": ["impaired"]},
    {"Name": "system-status.status", "Values": ["impaired"]},
    {"Name": "event.code", "Values": list(_EVENT_CODES)},
)
_A_PAGE: Final = 1000


class HealthCategory(StrEnum):
    """What is wrong, named as upstream's metric label."""

    INSTANCE_STATUS = "InstanceStatus"
    SYSTEM_STATUS = "SystemStatus"
    EVENT_STATUS = "EventStatus"


@dataclass(frozen=True, slots=True)
class SickInstance:
    """An instance that is to be replaced; `is_forceful`: at once, its pods are not served anyway."""

    instance_id: str
    category: HealthCategory
    detail: str

    @property
    def is_forceful(self) -> bool:
        """Whether draining it in order is pointless."""
        return self.category is not HealthCategory.EVENT_STATUS


class InstanceHealth:
    """Asks EC2 which instances are sick."""

    def __init__(self, client: AwsClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def sick(self) -> Sequence[SickInstance]:
        """The instances that are sick now, one entry each; filters of different names are AND-ed, so three questions.

        Raises:
            Refused: when the policy does not allow to ask.
        """
        found: dict[str, SickInstance] = {}
        now = self._clock.now()
        for question in _QUESTIONS:
            raw = await self._client.everything(
                "ec2", "DescribeInstanceStatus", "InstanceStatuses", Filters=[question], MaxResults=_A_PAGE
            )
            for each in raw:
                sick = parse_status(each, now)
                if sick is not None:
                    found.setdefault(sick.instance_id, sick)
        return [found[each] for each in sorted(found)]


def parse_status(raw: Mapping[str, Any], now: datetime) -> SickInstance | None:
    """What is wrong with the instance, or None where nothing is (or not for long enough)."""
    instance = raw["InstanceId"]
    checks = (
        (HealthCategory.INSTANCE_STATUS, raw.get("InstanceStatus") or {}),
        (HealthCategory.SYSTEM_STATUS, raw.get("SystemStatus") or {}),
    )
    for category, status in checks:
        if _has_failed(status, now):
            return SickInstance(instance, category, f"{category} has failed for {IMPAIRED_FOR} or longer")
    for event in raw.get("Events") or ():
        done = str(event.get("Description") or "").startswith(("[Completed]", "[Canceled]"))
        if event.get("Code") in _EVENT_CODES and not done:
            return SickInstance(instance, HealthCategory.EVENT_STATUS, f"{event['Code']} is scheduled")
    return None


def _has_failed(status: Mapping[str, Any], now: datetime) -> bool:
    return status.get("Status") == "impaired" and any(
        detail.get("Status") == "failed"
        and (detail.get("ImpairedSince") is None or now - detail["ImpairedSince"] >= IMPAIRED_FOR)
        for detail in status.get("Details") or ()
    )
