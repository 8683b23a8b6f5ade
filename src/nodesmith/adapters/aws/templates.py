"""Launch templates in EC2: made when a launch needs one, deleted when none has for a minute (spec 7.0, 7.9)."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from nodesmith.adapters.aws.cache import Cache
from nodesmith.adapters.aws.client import AwsClient
from nodesmith.adapters.aws.launchtemplate import LaunchTemplate
from nodesmith.adapters.aws.names import TAG_CLUSTER, TAG_NODECLASS
from nodesmith.ports.clock import Clock
from nodesmith.ports.errors import AlreadyExists, NotFound

KEPT_FOR: Final = timedelta(minutes=1)
_A_PAGE: Final = 200


class Templates:
    """Which templates are there. What it forgets it has deleted."""

    def __init__(self, client: AwsClient, clock: Clock, *, cluster: str) -> None:
        self._client = client
        self._cluster = cluster
        self._known: Cache[str, bool] = Cache(clock, KEPT_FOR)

    async def ensure(self, template: LaunchTemplate) -> None:
        """The template is there.

        Raises:
            PortError: when it cannot be made.
        """
        if not self.has(template):
            await self._known.get(template.name, lambda: self._make(template))

    def has(self, template: LaunchTemplate) -> bool:
        """Whether it is there; then it is kept for another minute."""
        is_known = self._known.peek(template.name) is not None
        if is_known:
            self._known.set(template.name, value=True)
        return is_known

    def forget(self, name: str) -> None:
        """It was not there after all: the next `ensure` makes it."""
        self._known.drop(name)

    async def hydrate(self) -> None:
        """The cluster's templates that others left count as known, so that they go when nobody needs them."""
        for name in await self._named([{"Name": f"tag:{TAG_CLUSTER}", "Values": [self._cluster]}]):
            if self._known.peek(name) is None:
                self._known.set(name, value=True)

    async def delete_idle(self) -> None:
        """Templates that no launch has needed for a minute are gone."""
        for name, _ in self._known.expired():
            await self._delete(name)

    async def delete_all_of(self, node_class: str) -> None:
        """No template of the NodeClass is left."""
        filters = [
            {"Name": f"tag:{TAG_CLUSTER}", "Values": [self._cluster]},
            {"Name": f"tag:{TAG_NODECLASS}", "Values": [node_class]},
        ]
        for name in await self._named(filters):
            self._known.drop(name)
            await self._delete(name)

    async def _make(self, template: LaunchTemplate) -> bool:
        # Not asked for first: the name says the whole content, so one that is there already is as good as a new one.
        with suppress(AlreadyExists):
            await self._client.call("ec2", "CreateLaunchTemplate", **template.request())
        return True

    async def _named(self, filters: list[dict[str, Any]]) -> list[str]:
        found = await self._client.everything(
            "ec2", "DescribeLaunchTemplates", "LaunchTemplates", Filters=filters, MaxResults=_A_PAGE
        )
        return [each["LaunchTemplateName"] for each in found]

    async def _delete(self, name: str) -> None:
        with suppress(NotFound):
            await self._client.call("ec2", "DeleteLaunchTemplate", LaunchTemplateName=name)
