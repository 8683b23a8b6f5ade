"""The controller's policies in the account.

The one thing to know: a policy of the same name that others made gets a new version, and theirs is kept and put in
force again when everything is taken back.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from nodesmith.adapters.aws.client import AwsClient
from nodesmith.install.documents import Document, as_document, is_same
from nodesmith.install.names import Names
from nodesmith.install.setup import ABSENT, Finding
from nodesmith.install.tags import is_own
from nodesmith.ports.errors import NotFound, Refused

VERSIONS: Final = 5
"""So many IAM keeps."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy of the account."""

    target: str
    client: AwsClient
    names: Names
    document: Document
    name: str = "controller policy"

    async def look(self) -> Finding:
        """Whether it is there and says what it should."""
        policy = await self._policy()
        if policy is None:
            return ABSENT
        own = is_own(policy.get("Tags"), self.names)
        is_right = is_same(await self._version(policy["DefaultVersionId"]), self.document)
        additions = () if own or not is_right or not await self._older() else ("our version",)
        differences = () if is_right else ("the document differs",)
        return Finding(exists=True, differences=differences, is_own=own, additions=additions)

    async def ensure(self) -> None:
        """Its default version says what it should."""
        text, policy = json.dumps(self.document), await self._policy()
        if policy is None:
            tags = self.names.tags()
            await self.client.call("iam", "CreatePolicy", PolicyName=self.target, PolicyDocument=text, Tags=tags)
        elif not is_same(await self._version(policy["DefaultVersionId"]), self.document):
            await self._make_room(own=is_own(policy.get("Tags"), self.names))
            await self._call("CreatePolicyVersion", PolicyDocument=text, SetAsDefault=True)

    async def undo(self) -> None:
        """The policy is gone, if a step made it; otherwise the version of others is in force again."""
        policy = await self._policy()
        if policy is None:
            return
        if is_own(policy.get("Tags"), self.names):
            await self._delete()
        elif is_same(await self._version(policy["DefaultVersionId"]), self.document):
            await self._give_back(policy["DefaultVersionId"])

    async def _policy(self) -> dict[str, Any] | None:
        try:
            return dict((await self._call("GetPolicy"))["Policy"])
        except NotFound:
            return None

    async def _version(self, version: str) -> Document:
        return as_document((await self._call("GetPolicyVersion", VersionId=version))["PolicyVersion"]["Document"])

    async def _older(self) -> list[str]:
        """The versions that are not in force, the newest first."""
        versions = (await self._call("ListPolicyVersions"))["Versions"]
        ids = [each["VersionId"] for each in versions if not each["IsDefaultVersion"]]
        return sorted(ids, key=lambda each: int(each.removeprefix("v")), reverse=True)

    async def _make_room(self, *, own: bool) -> None:
        """In a policy of ours only the version in force is needed; in one of others, only the place for one more."""
        older = await self._older()
        if not own and len(older) + 1 >= VERSIONS:
            raise Refused(f"{self.target} has {VERSIONS} versions already: delete one that is not in force")
        for version in older if own else ():
            await self._call("DeletePolicyVersion", VersionId=version)

    async def _delete(self) -> None:
        holders = await self._call("ListEntitiesForPolicy")
        for role in holders.get("PolicyRoles") or ():
            name = role["RoleName"]
            await self.client.call("iam", "DetachRolePolicy", RoleName=name, PolicyArn=self._arn)
        for version in await self._older():
            await self._call("DeletePolicyVersion", VersionId=version)
        await self._call("DeletePolicy")

    async def _give_back(self, ours: str) -> None:
        older = await self._older()
        if older:
            await self._call("SetDefaultPolicyVersion", VersionId=older[0])
            await self._call("DeletePolicyVersion", VersionId=ours)

    @property
    def _arn(self) -> str:
        return self.names.policy_arn(self.target)

    async def _call(self, operation: str, **parameters: Any) -> Any:
        return await self.client.call("iam", operation, PolicyArn=self._arn, **parameters)
