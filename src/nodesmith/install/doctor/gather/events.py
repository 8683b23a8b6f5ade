"""The interruption queue, and the rules that feed it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from nodesmith.adapters.aws.client import AwsClient
from nodesmith.install.doctor.awsfacts import Queue, Rule
from nodesmith.install.doctor.gather.paging import marked
from nodesmith.install.doctor.trust import texts
from nodesmith.install.policies import RULES
from nodesmith.ports.errors import NotFound

_SOURCES = frozenset(source for source, _ in RULES.values())


async def queue(client: AwsClient, name: str) -> Queue | None:
    """The queue; None where there is none of the name, or no name.

    Raises:
        PortError: when SQS does not answer.
    """
    if not name:
        return None
    try:
        url = (await client.call("sqs", "GetQueueUrl", QueueName=name))["QueueUrl"]
        told = await client.call("sqs", "GetQueueAttributes", QueueUrl=url, AttributeNames=["All"])
    except NotFound:
        return None
    attributes: Mapping[str, str] = told.get("Attributes") or {}
    stated = attributes.get("Policy")
    return Queue(
        name=name,
        arn=attributes["QueueArn"],
        retention=timedelta(seconds=int(attributes.get("MessageRetentionPeriod") or 0)),
        policy=json.loads(stated) if stated else None,
        waiting=int(attributes.get("ApproximateNumberOfMessages") or 0),
        key=attributes.get("KmsMasterKeyId") or "",
    )


async def queues(client: AwsClient) -> tuple[str, ...]:
    """The names of all queues in the region."""
    urls = await client.everything("sqs", "ListQueues", "QueueUrls", MaxResults=1000)
    return tuple(str(each).rpartition("/")[2] for each in urls)


async def rules(client: AwsClient) -> tuple[Rule, ...]:
    """The rules of the default bus that look at events which matter to nodes.

    Raises:
        PortError: when EventBridge does not answer.
    """
    found = []
    for raw in await client.everything("events", "ListRules", "Rules"):
        pattern: Mapping[str, Any] = json.loads(raw.get("EventPattern") or "{}")
        if _SOURCES & set(texts(pattern.get("source"))):
            targets = await marked(
                client, "events", "ListTargetsByRule", "Targets", cursor="NextToken", Rule=raw["Name"]
            )
            is_enabled = str(raw.get("State") or "").startswith("ENABLED")
            found.append(Rule(raw["Name"], pattern, is_enabled, tuple(each["Arn"] for each in targets)))
    return tuple(found)
