"""The queue of interruptions and the rules that fill it.

The one thing to know: a queue of others keeps its attributes, and gets a statement of ours in its policy where
EventBridge may not send to it; a rule of others that sends the same events there is as good as ours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from nodesmith.adapters.aws.client import AwsClient
from nodesmith.install import policies
from nodesmith.install.documents import (
    Document,
    as_document,
    has_ours,
    is_same,
    listed,
    statements,
    with_ours,
    without_ours,
)
from nodesmith.install.names import OWNER, Names
from nodesmith.install.settling import call_until_known
from nodesmith.install.setup import ABSENT, Finding
from nodesmith.install.tags import is_own
from nodesmith.ports.errors import NotFound

RETENTION_S: Final = "300"
SENDER: Final = "events.amazonaws.com"
_SEND: Final = frozenset({"sqs:SendMessage", "sqs:*", "*"})
_TARGET_ID: Final = "interruption-queue"


@dataclass(frozen=True, slots=True)
class InterruptionQueue:
    """The queue that interruptions come through, and who may send to it."""

    client: AwsClient
    names: Names
    name: str = "queue"

    @property
    def target(self) -> str:
        """The queue's name."""
        return self.names.queue

    async def look(self) -> Finding:
        """Whether it is there, keeps messages as short as wanted, encrypted, and EventBridge may send to it."""
        url = await self._url()
        if url is None:
            return ABSENT
        present, own = await self._attributes(url), await self._is_own(url)
        additions = ("our statement in the queue policy",) if has_ours(present.get("Policy")) and not own else ()
        differences = self._differences(present) if own else _lets_nobody_send(present)
        return Finding(exists=True, differences=tuple(differences), is_own=own, additions=additions)

    async def ensure(self) -> None:
        """The queue is there, and EventBridge may send to it."""
        url = await self._url()
        if url is None:
            tags, wanted = {OWNER: self.names.cluster}, self._wanted()
            made = {"QueueName": self.target, "Attributes": wanted, "tags": tags}
            await call_until_known(self.client, "sqs", "CreateQueue", **made)
            return
        present, own = await self._attributes(url), await self._is_own(url)
        if own:
            await self._set(url, self._wanted())
        elif _lets_nobody_send(present):
            merged = with_ours(present.get("Policy"), policies.queue_policy(self.names))
            await self._set(url, {"Policy": json.dumps(merged)})

    async def undo(self) -> None:
        """The queue is gone, if a step made it; otherwise our statement is out of its policy."""
        url = await self._url()
        if url is None:
            return
        if await self._is_own(url):
            await self.client.call("sqs", "DeleteQueue", QueueUrl=url)
            return
        policy = (await self._attributes(url)).get("Policy")
        if has_ours(policy):
            theirs = without_ours(policy)
            await self._set(url, {"Policy": json.dumps(theirs) if theirs else ""})

    def _wanted(self) -> dict[str, str]:
        policy = json.dumps(policies.queue_policy(self.names))
        return {"MessageRetentionPeriod": RETENTION_S, "SqsManagedSseEnabled": "true", "Policy": policy}

    def _differences(self, present: Mapping[str, str]) -> list[str]:
        told = _lets_nobody_send(present)
        for name, wanted in self._wanted().items():
            has = present.get(name, "")
            if name == "Policy":
                told += [] if told or is_same(has, wanted) else ["the policy differs"]
            elif has.lower() != wanted:
                told.append(f"{name} differs")
        return told

    async def _is_own(self, url: str) -> bool:
        tags = (await self.client.call("sqs", "ListQueueTags", QueueUrl=url)).get("Tags") or {}
        return bool(tags.get(OWNER) == self.names.cluster)

    async def _attributes(self, url: str) -> Mapping[str, str]:
        told = await self.client.call("sqs", "GetQueueAttributes", QueueUrl=url, AttributeNames=["All"])
        attributes: Mapping[str, str] = told.get("Attributes") or {}
        return attributes

    async def _set(self, url: str, attributes: Mapping[str, str]) -> None:
        await self.client.call("sqs", "SetQueueAttributes", QueueUrl=url, Attributes=attributes)

    async def _url(self) -> str | None:
        try:
            return str((await self.client.call("sqs", "GetQueueUrl", QueueName=self.target))["QueueUrl"])
        except NotFound:
            return None


@dataclass(frozen=True, slots=True)
class Rule:
    """An EventBridge rule that sends one kind of event to the queue."""

    part: str
    client: AwsClient
    names: Names
    name: str = "event rule"

    @property
    def target(self) -> str:
        """The rule's name."""
        return self.names.rule(self.part)

    async def look(self) -> Finding:
        """Whether the rule is there and on, matches what it should, and sends to the queue."""
        rule = await self._rule(self.target)
        if rule is None:
            twin = await self._twin()
            return Finding(exists=True, note=f"{twin} sends the same, not made by install") if twin else ABSENT
        differences = []
        if as_document(rule.get("EventPattern")) != self._pattern():
            differences.append("the pattern differs")
        if rule.get("State") != "ENABLED":
            differences.append("the rule is off")
        if self.names.queue_arn not in await self._targets():
            differences.append("it does not send to the queue")
        return Finding(exists=True, differences=tuple(differences), is_own=await self._is_own(rule))

    async def ensure(self) -> None:
        """The rule is on, and sends to the queue."""
        rule = await self._rule(self.target)
        if rule is None and await self._twin():
            return
        pattern = json.dumps(self._pattern())
        tags: dict[str, Any] = {} if rule else {"Tags": self.names.tags()}
        await self.client.call("events", "PutRule", Name=self.target, EventPattern=pattern, State="ENABLED", **tags)
        targets = [{"Id": _TARGET_ID, "Arn": self.names.queue_arn}]
        await self.client.call("events", "PutTargets", Rule=self.target, Targets=targets)

    async def undo(self) -> None:
        """The rule is gone, if a step made it."""
        rule = await self._rule(self.target)
        if rule is not None and await self._is_own(rule):
            ids = [each["Id"] for each in await self._listed_targets()]
            if ids:
                await self.client.call("events", "RemoveTargets", Rule=self.target, Ids=ids)
            await self.client.call("events", "DeleteRule", Name=self.target)

    def _pattern(self) -> Document:
        source, detail_type = policies.RULES[self.part]
        return {"source": [source], "detail-type": [detail_type]}

    async def _rule(self, name: str) -> Mapping[str, Any] | None:
        try:
            return await self.client.call("events", "DescribeRule", Name=name)
        except NotFound:
            return None

    async def _twin(self) -> str:
        """Another rule that is on and sends the same events to the queue; empty where there is none."""
        told = await self.client.call("events", "ListRuleNamesByTarget", TargetArn=self.names.queue_arn)
        source, detail_type = policies.RULES[self.part]
        for name in told.get("RuleNames") or ():
            rule = await self._rule(name)
            pattern = as_document((rule or {}).get("EventPattern"))
            is_wide_enough = source in pattern.get("source", [source]) and detail_type in pattern.get("detail-type", ())
            if rule is not None and rule.get("State") == "ENABLED" and is_wide_enough and "detail" not in pattern:
                return str(name)
        return ""

    async def _is_own(self, rule: Mapping[str, Any]) -> bool:
        told = await self.client.call("events", "ListTagsForResource", ResourceARN=rule["Arn"])
        return is_own(told.get("Tags"), self.names)

    async def _targets(self) -> set[str]:
        return {each["Arn"] for each in await self._listed_targets()}

    async def _listed_targets(self) -> list[Mapping[str, Any]]:
        return list((await self.client.call("events", "ListTargetsByRule", Rule=self.target)).get("Targets") or ())


def _lets_nobody_send(present: Mapping[str, str]) -> list[str]:
    """The difference of a queue that EventBridge may not send to, or nothing."""
    for statement in statements(as_document(present.get("Policy"))):
        if statement.get("Effect") == "Allow" and _SEND & set(listed(statement.get("Action") or ())):
            principal = statement.get("Principal")
            services = listed(principal.get("Service") or ()) if isinstance(principal, Mapping) else [principal]
            if SENDER in services or "*" in services:
                return []
    return ["the policy lets nobody send"]
