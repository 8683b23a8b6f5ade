"""Instance profiles made for NodeClasses from their role, and collected when no node uses them (spec 7.10).

A profile's name follows from cluster, region, NodeClass and role. So a role that changes has another profile, nodes of
the old one keep theirs, and a controller that starts again finds what it made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from nodesmith.adapters.aws.cache import Cache
from nodesmith.adapters.aws.client import AwsClient
from nodesmith.adapters.aws.settings import AwsSettings
from nodesmith.adapters.aws.tags import profile_tags, tag_list, tags_of
from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.api.hashing import hash_of
from nodesmith.ports.clock import Clock
from nodesmith.ports.errors import AlreadyExists, NotFound

KNOWN_FOR: Final = timedelta(minutes=15)
PROTECTED_FOR: Final = timedelta(hours=1)
"""So long after its making a profile is kept even where nothing seems to use it."""

_LONGEST_NAME: Final = 128
_DIGITS: Final = 20


class Profiles:
    """Instance profiles in IAM."""

    def __init__(self, client: AwsClient, clock: Clock, settings: AwsSettings) -> None:
        self._client = client
        self._clock = clock
        self._settings = settings
        self._known: Cache[str, dict[str, str]] = Cache(clock, KNOWN_FOR)
        """The tags of profiles that are there, and have their role."""

    def name_for(self, node_class: EC2NodeClass) -> str:
        """The name of the profile with the NodeClass' role."""
        cluster = self._settings.cluster_name
        identity = f"{self._settings.region}/{node_class.name}/{node_class.meta.uid}/{node_class.spec.role}"
        digest = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big")
        return f"{cluster[: _LONGEST_NAME - _DIGITS - 1]}_{digest}"

    def legacy_name_for(self, node_class: EC2NodeClass) -> str:
        """The name that Karpenter gave the profile before a NodeClass could have several."""
        return f"{self._settings.cluster_name}_{hash_of(f'{self._settings.region}{node_class.name}')}"

    async def ensure(self, node_class: EC2NodeClass) -> str:
        """The profile's name; it is there and has the role.

        Raises:
            NotFound: when there is no such role.
            Refused: when the role must not be passed, or the profile not be made.
        """
        name, tags = self.name_for(node_class), self._tags(node_class)
        if self._known.peek(name) != tags:
            profile = await self._found(name)
            if profile is None:
                profile = await self._made(name, node_class)
            else:
                await self._tag(name, profile, node_class)
            await self._give_role(name, profile, node_class.spec.role)
            self._known.set(name, tags)
        return name

    async def delete_all_of(self, node_class: EC2NodeClass) -> None:
        """No profile of the NodeClass is left."""
        prefix = f"{self._path}{node_class.meta.uid}/"
        for profile in await self._listed(prefix):
            await self._delete(profile)
        legacy = await self._found(self.legacy_name_for(node_class))
        # Its tags say that it was made for this class; what somebody made by hand under such a name is his.
        if legacy is not None and self._made_for(node_class).items() <= tags_of(legacy).items():
            await self._delete(legacy)

    async def collect(self, in_use: Iterable[str]) -> None:
        """Profiles of this cluster that nothing uses, and that are not new, are gone."""
        kept = set(in_use)
        youngest = self._clock.now() - PROTECTED_FOR
        for profile in await self._listed(self._path):
            if profile["InstanceProfileName"] not in kept and profile["CreateDate"] <= youngest:
                await self._delete(profile)

    @property
    def _path(self) -> str:
        return f"/karpenter/{self._settings.region}/{self._settings.cluster_name}/"

    async def _found(self, name: str) -> dict[str, Any] | None:
        try:
            answer = await self._client.call("iam", "GetInstanceProfile", InstanceProfileName=name)
        except NotFound:
            return None
        return dict(answer["InstanceProfile"])

    async def _made(self, name: str, node_class: EC2NodeClass) -> dict[str, Any]:
        with suppress(AlreadyExists):
            await self._client.call(
                "iam",
                "CreateInstanceProfile",
                InstanceProfileName=name,
                Path=f"{self._path}{node_class.meta.uid}/",
                Tags=tag_list(self._tags(node_class)),
            )
        return {}

    async def _tag(self, name: str, profile: dict[str, Any], node_class: EC2NodeClass) -> None:
        """The profile has the NodeClass' tags, also those that the NodeClass was given since."""
        present = tags_of(profile)
        missing = {key: value for key, value in self._tags(node_class).items() if present.get(key) != value}
        if missing:
            # All of ours are named again: the policy allows tagging only by requests that do.
            await self._client.call(
                "iam", "TagInstanceProfile", InstanceProfileName=name, Tags=tag_list(self._tags(node_class))
            )

    def _tags(self, node_class: EC2NodeClass) -> dict[str, str]:
        return profile_tags(
            self._settings.cluster_name,
            node_class.spec.tags,
            node_class=node_class.name,
            region=self._settings.region,
        )

    def _made_for(self, node_class: EC2NodeClass) -> dict[str, str]:
        """The tags that tell for what a profile was made."""
        cluster, region = self._settings.cluster_name, self._settings.region
        return profile_tags(cluster, {}, node_class=node_class.name, region=region)

    async def _give_role(self, name: str, profile: dict[str, Any], role: str) -> None:
        wanted = role.rpartition("/")[2]
        present = [each["RoleName"] for each in profile.get("Roles") or ()]
        if present == [wanted]:
            return
        for other in present:
            await self._client.call("iam", "RemoveRoleFromInstanceProfile", InstanceProfileName=name, RoleName=other)
        with suppress(AlreadyExists):
            await self._client.call("iam", "AddRoleToInstanceProfile", InstanceProfileName=name, RoleName=wanted)

    async def _listed(self, prefix: str) -> list[dict[str, Any]]:
        """The profiles under a path; IAM pages by a marker."""
        found: list[dict[str, Any]] = []
        marker: dict[str, Any] = {}
        while True:
            answer = await self._client.call("iam", "ListInstanceProfiles", PathPrefix=prefix, **marker)
            found += [each for each in answer["InstanceProfiles"] if each["Path"].startswith(prefix)]
            if not answer.get("IsTruncated"):
                return found
            marker = {"Marker": answer["Marker"]}

    async def _delete(self, profile: dict[str, Any]) -> None:
        name = profile["InstanceProfileName"]
        self._known.drop(name)
        for role in profile.get("Roles") or ():
            with suppress(NotFound):
                await self._client.call(
                    "iam", "RemoveRoleFromInstanceProfile", InstanceProfileName=name, RoleName=role["RoleName"]
                )
        with suppress(NotFound):
            await self._client.call("iam", "DeleteInstanceProfile", InstanceProfileName=name)
