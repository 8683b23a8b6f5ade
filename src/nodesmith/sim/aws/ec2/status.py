"""What DescribeInstanceStatus says: well, unless the box was told otherwise."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from nodesmith.sim.aws import world
from nodesmith.sim.aws.ec2 import filters
from nodesmith.sim.aws.world import Health

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nodesmith.sim.aws.ec2.instance import BoxInstance


def rows(instances: Iterable[BoxInstance], wanted: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """The status rows of the instances that pass the filters; filters of different names are AND-ed."""
    health = world.current().health
    found = ((instance, health.get(instance.id, Health())) for instance in instances)
    return [
        _row(instance, state)
        for instance, state in found
        if filters.matches(wanted, {}, functools.partial(_values, instance, state))
    ]


def _row(instance: BoxInstance, health: Health) -> dict[str, Any]:
    is_running = instance.state == "running"
    return {
        "InstanceId": instance.id,
        "AvailabilityZone": instance.availability_zone,
        "InstanceState": {"Code": instance.state_code, "Name": instance.state},
        "InstanceStatus": _check(health.instance, health) if is_running else {"Status": "not-applicable"},
        "SystemStatus": _check(health.system, health) if is_running else {"Status": "not-applicable"},
        "AttachedEbsStatus": {"Status": "ok", "Details": [{"Name": "reachability", "Status": "passed"}]},
        "Events": [
            {
                "InstanceEventId": f"instance-event-{instance.id.removeprefix('i-')}{index}",
                "Code": event.code,
                "Description": event.description,
                "NotBefore": event.not_before,
            }
            for index, event in enumerate(health.events)
        ],
    }


def _check(status: str, health: Health) -> dict[str, Any]:
    detail: dict[str, Any] = {"Name": "reachability", "Status": "passed" if status == "ok" else "failed"}
    if status != "ok":
        detail["ImpairedSince"] = health.impaired_since
    return {"Status": status, "Details": [detail]}


def _values(instance: BoxInstance, health: Health, name: str) -> Sequence[str] | None:
    return {
        "availability-zone": (instance.availability_zone or "",),
        "event.code": [event.code for event in health.events],
        "event.description": [event.description for event in health.events],
        "instance-state-code": (str(instance.state_code),),
        "instance-state-name": (instance.state,),
        "instance-status.reachability": ("passed" if health.instance == "ok" else "failed",),
        "instance-status.status": (health.instance,),
        "system-status.reachability": ("passed" if health.system == "ok" else "failed",),
        "system-status.status": (health.system,),
    }.get(name)
