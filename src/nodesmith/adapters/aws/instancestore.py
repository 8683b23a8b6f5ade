"""DescribeInstances and TerminateInstances, batched by id (spec 7.0)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final

from nodesmith.adapters.aws.batching import ADOPT_WINDOW, BY_ID_WINDOW, Batcher, counted
from nodesmith.adapters.aws.client import AwsClient
from nodesmith.adapters.aws.fleet import instances_of
from nodesmith.adapters.aws.instances import ALIVE, Instance, parse_instance
from nodesmith.adapters.aws.names import TAG_CLUSTER, TAG_LAUNCHED_FOR, TAG_NODECLASS, TAG_NODEPOOL
from nodesmith.adapters.aws.tags import tag_list
from nodesmith.ports.clock import Clock
from nodesmith.ports.errors import NotFound, PortError
from nodesmith.ports.metrics import Metrics

_A_PAGE: Final = 1000
_STATE: Final = {"Name": "instance-state-name", "Values": list(ALIVE)}
_GONE: Final = "terminated"


class InstanceStore:
    """Instances by id, by claim, and all of the cluster's."""

    def __init__(
        self, client: AwsClient, clock: Clock, *, cluster: str, workers: asyncio.Semaphore, metrics: Metrics
    ) -> None:
        self._client = client
        self._cluster = cluster
        self._describing: Batcher[str, str, Instance] = Batcher(
            clock, BY_ID_WINDOW, self._describe, workers, counted(metrics, "describe_instances")
        )
        self._terminating: Batcher[str, str, str] = Batcher(
            clock, BY_ID_WINDOW, self._terminate, workers, counted(metrics, "terminate_instances")
        )
        self._adopting: Batcher[str, str, tuple[Instance, ...]] = Batcher(
            clock, ADOPT_WINDOW, self._find, workers, counted(metrics, "adopt_instances")
        )

    async def get(self, instance: str) -> Instance:
        """The instance as it is now.

        Raises:
            NotFound: when it is not there, or terminated.
        """
        return await self._describing.submit("", instance)

    async def terminate(self, instance: str) -> None:
        """The instance is on its way out.

        Raises:
            NotFound: when it is not there.
        """
        await self._terminating.submit("", instance)

    async def launched_for(self, claim: str) -> tuple[Instance, ...]:
        """The instances that were ever launched for the claim and can still be seen, terminated ones included."""
        return await self._adopting.submit("", claim)

    async def all(self) -> list[Instance]:
        """Every instance of the cluster that a NodePool brought about and that is not terminated."""
        return await self._ask(
            [
                {"Name": "tag-key", "Values": [TAG_NODEPOOL]},
                {"Name": "tag-key", "Values": [TAG_NODECLASS]},
                {"Name": f"tag:{TAG_CLUSTER}", "Values": [self._cluster]},
                _STATE,
            ],
            MaxResults=_A_PAGE,
        )

    async def tag(self, instance: str, tags: dict[str, str]) -> None:
        """The instance has these tags too.

        Raises:
            NotFound: when it is not there.
        """
        await self._client.call("ec2", "CreateTags", Resources=[instance], Tags=tag_list(tags))

    async def _ask(self, filters: Sequence[Any], **parameters: Any) -> list[Instance]:
        reservations = await self._client.everything(
            "ec2", "DescribeInstances", "Reservations", Filters=list(filters), **parameters
        )
        return [parse_instance(raw) for each in reservations for raw in each.get("Instances") or ()]

    async def _describe(self, _: str, ids: Sequence[str]) -> list[Instance | PortError]:
        """One answer an id. Ids are a filter, not a list of ids: an absent one then does not fail the others."""
        unique = sorted(set(ids))
        found: dict[str, Instance] = {}
        for some in _slices(unique):
            for each in await self._ask([{"Name": "instance-id", "Values": some}, _STATE]):
                found[each.id] = each
        return [found.get(each) or NotFound(f"instance {each} is not there") for each in ids]

    async def _terminate(self, _: str, ids: Sequence[str]) -> list[str | PortError]:
        unique = sorted(set(ids))
        try:
            await self._client.call("ec2", "TerminateInstances", InstanceIds=unique)
        except NotFound as error:
            if len(unique) == 1:
                return [error] * len(ids)
            outcome = await self._terminate_singly(unique)
            return [outcome[each] for each in ids]
        return list(ids)

    async def _terminate_singly(self, ids: Iterable[str]) -> dict[str, str | PortError]:
        """One absent instance fails the whole call, so each is asked for by itself."""
        outcome: dict[str, str | PortError] = {}
        for each in ids:
            try:
                await self._client.call("ec2", "TerminateInstances", InstanceIds=[each])
            except PortError as error:
                outcome[each] = error
            else:
                outcome[each] = each
        return outcome

    async def _find(self, _: str, claims: Sequence[str]) -> list[tuple[Instance, ...] | PortError]:
        unique = sorted(set(claims))
        seen: dict[str, Instance] = {}
        for some in _slices([f"*{claim}*" for claim in unique]):
            filters = [
                {"Name": f"tag:{TAG_CLUSTER}", "Values": [self._cluster]},
                {"Name": f"tag:{TAG_LAUNCHED_FOR}", "Values": some},
            ]
            for each in await self._ask(filters):
                seen[each.id] = each
        tagged = [(each.id, each.tags) for each in seen.values()]
        return [tuple(seen[found] for found in instances_of(claim, tagged)) for claim in claims]


def is_gone(instance: Instance) -> bool:
    """Whether it will not run again."""
    return instance.state in {"shutting-down", _GONE}


def _slices(values: list[str], most: int = 200) -> Iterable[list[str]]:
    """The values in lists that a filter takes."""
    return [values[at : at + most] for at in range(0, len(values), most)]
