"""What AWS says by itself: events on the default bus, delivered to queues by the rules that match."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from moto.events.models import events_backends
from moto.moto_api._internal import mock_random
from moto.sqs.models import sqs_backends

from nodesmith.sim.aws import wire, world

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SPOT_NOTICE = timedelta(minutes=2)


def emit(  # noqa: PLR0917 - an event is these six
    account: str,
    region: str,
    source: str,
    detail_type: str,
    detail: Mapping[str, Any],
    resources: Sequence[str],
) -> None:
    """Put an event on the account's default bus, at the box's time."""
    bus = events_backends[account][region].describe_event_bus("default")
    if not bus.rules:
        return
    now = world.current().now()
    event: Any = {
        "version": "0",
        "id": str(mock_random.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": account,
        "time": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": list(resources),
        "detail": dict(detail),
    }
    for rule in bus.rules.values():
        if rule.state == "ENABLED" and rule.event_pattern.matches_event(event):
            for target in rule.targets:
                _deliver(account, target, event)


def _deliver(account: str, target: Mapping[str, Any], event: Mapping[str, Any]) -> None:
    """Put the event into a queue, which is the one kind of target that the box has; moto drops the account from it."""
    service, region, name = (target["Arn"].split(":")[index] for index in (2, 3, 5))
    queues: Any = sqs_backends[account][region]
    if service == "sqs" and name in queues.queues:
        queues.send_message(name, json.dumps(event))


def instance_arn(account: str, region: str, instance_id: str) -> str:
    """An instance's ARN."""
    return f"arn:aws:ec2:{region}:{account}:instance/{instance_id}"


def spot_warning(account: str, region: str, instance_id: str) -> None:
    """The two minutes' warning of a spot instance."""
    emit(
        account,
        region,
        "aws.ec2",
        "EC2 Spot Instance Interruption Warning",
        {"instance-id": instance_id, "instance-action": "terminate"},
        [instance_arn(account, region, instance_id)],
    )


def rebalance(account: str, region: str, instance_id: str) -> None:
    """The hint that a spot instance is at risk."""
    emit(
        account,
        region,
        "aws.ec2",
        "EC2 Instance Rebalance Recommendation",
        {"instance-id": instance_id},
        [instance_arn(account, region, instance_id)],
    )


def scheduled_change(account: str, region: str, instance_ids: Sequence[str], code: str) -> None:
    """An AWS Health event that names instances."""
    now = world.current().now()
    emit(
        account,
        region,
        "aws.health",
        "AWS Health Event",
        {
            "eventArn": f"arn:aws:health:{region}::event/EC2/{code}/{code}_{now:%Y%m%d%H%M%S}",
            "service": "EC2",
            "eventTypeCode": code,
            "eventTypeCategory": "scheduledChange",
            "startTime": wire.timestamp(now),
            "eventDescription": [{"language": "en_US", "latestDescription": "The instance's host needs maintenance."}],
            "affectedEntities": [{"entityValue": instance_id} for instance_id in instance_ids],
        },
        [instance_arn(account, region, instance_id) for instance_id in instance_ids],
    )
