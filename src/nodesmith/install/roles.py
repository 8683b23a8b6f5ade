"""IAM roles with their trust and their policies.

The one thing to know: a role that others made gets what it lacks and nothing else, and the tag `ATTACHED` says which
policies of AWS a step attached to it, so that they can be detached again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from nodesmith.adapters.aws.client import AwsClient
from nodesmith.install.documents import Document, has_ours, is_same, says, with_ours, without_ours
from nodesmith.install.names import Names
from nodesmith.install.setup import ABSENT, Finding
from nodesmith.install.tags import is_own, tag_values
from nodesmith.ports.errors import NotFound, Refused

ATTACHED: Final = "nodesmith:attached"
"""The tag on a role of others: the policies of AWS that a step attached to it."""

SPOT_SERVICE: Final = "spot.amazonaws.com"
_SAME_USE: Final = {"AmazonEC2ContainerRegistryReadOnly": "AmazonEC2ContainerRegistryPullOnly"}
"""Another policy that serves as well."""


@dataclass(frozen=True, slots=True)
class Role:
    """A role that somebody may assume, with its policies attached."""

    name: str
    target: str
    client: AwsClient
    names: Names
    trust: Document
    attached: tuple[str, ...]

    async def look(self) -> Finding:
        """Whether it is there, trusts whom it should, and has its policies."""
        role = await self._role()
        if role is None:
            return ABSENT
        own = is_own(role.get("Tags"), self.names)
        differences = []
        if not self._trusts(role, own=own):
            differences.append("the trust policy differs" if own else "the trust policy does not let it be used so")
        lacking = [_short(arn) for arn in self._lacking(await self._present())]
        differences += [f"{name} is not attached" for name in lacking]
        return Finding(exists=True, differences=tuple(differences), is_own=own, additions=_additions(role, own=own))

    async def ensure(self) -> None:
        """The role trusts whom it should and has its policies; more that others attached stay."""
        role = await self._role()
        if role is None:
            trust, tags = json.dumps(self.trust), self.names.tags()
            await self._call("CreateRole", AssumeRolePolicyDocument=trust, Tags=tags)
            role = {"Tags": tags, "AssumeRolePolicyDocument": self.trust}
        own = is_own(role.get("Tags"), self.names)
        if not self._trusts(role, own=own):
            trust = json.dumps(self.trust if own else with_ours(role["AssumeRolePolicyDocument"], self.trust))
            await self._call("UpdateAssumeRolePolicy", PolicyDocument=trust)
        lacking = self._lacking(await self._present())
        if not own:
            await self._remember(role, lacking)
        for arn in lacking:
            await self._call("AttachRolePolicy", PolicyArn=arn)

    async def undo(self) -> None:
        """The role is gone, if a step made it; otherwise it is as it was before."""
        role = await self._role()
        if role is None:
            return
        if is_own(role.get("Tags"), self.names):
            await self._delete()
        else:
            await self._give_back(role)

    async def _role(self) -> dict[str, Any] | None:
        try:
            return dict((await self._call("GetRole"))["Role"])
        except NotFound:
            return None

    async def _present(self) -> list[str]:
        return [each["PolicyArn"] for each in (await self._call("ListAttachedRolePolicies"))["AttachedPolicies"]]

    def _trusts(self, role: dict[str, Any], *, own: bool) -> bool:
        stated = role["AssumeRolePolicyDocument"]
        return is_same(stated, self.trust) if own else says(stated, self.trust)

    def _lacking(self, present: Sequence[str]) -> list[str]:
        names = {_short(arn) for arn in present}
        return [arn for arn in self.attached if arn not in present and _SAME_USE.get(_short(arn)) not in names]

    async def _remember(self, role: dict[str, Any], lacking: Sequence[str]) -> None:
        """Our own policies are known by their tags; AWS's are nobody's, so the role says which of them we attached."""
        of_aws = [_short(arn) for arn in lacking if ":iam::aws:policy/" in arn]
        before = _attached_by_us(role)
        after = [*before, *(name for name in of_aws if name not in before)]
        if after != before:
            await self._call("TagRole", Tags=[{"Key": ATTACHED, "Value": " ".join(after)}])

    async def _delete(self) -> None:
        for arn in sorted(await self._present()):
            await self._call("DetachRolePolicy", PolicyArn=arn)
        for name in (await self._call("ListRolePolicies")).get("PolicyNames") or ():
            await self._call("DeleteRolePolicy", PolicyName=name)
        for profile in (await self._call("ListInstanceProfilesForRole")).get("InstanceProfiles") or ():
            await self._call("RemoveRoleFromInstanceProfile", InstanceProfileName=profile["InstanceProfileName"])
        await self._call("DeleteRole")

    async def _give_back(self, role: dict[str, Any]) -> None:
        trust = role["AssumeRolePolicyDocument"]
        theirs = without_ours(trust)
        if has_ours(trust) and theirs is not None:
            await self._call("UpdateAssumeRolePolicy", PolicyDocument=json.dumps(theirs))
        of_aws = _attached_by_us(role)
        for arn in sorted(await self._present()):
            if _short(arn) in of_aws and arn in self.attached:
                await self._call("DetachRolePolicy", PolicyArn=arn)
        if of_aws:
            await self._call("UntagRole", TagKeys=[ATTACHED])

    async def _call(self, operation: str, **parameters: Any) -> Any:
        # A role may live under a path, which is a part of its ARN and not of its name.
        return await self.client.call("iam", operation, RoleName=_short(self.target), **parameters)


@dataclass(frozen=True, slots=True)
class SpotRole:
    """The service-linked role of EC2 Spot. It is the account's, so it is never taken away."""

    client: AwsClient
    name: str = "service-linked role"
    target: str = "AWSServiceRoleForEC2Spot"

    async def look(self) -> Finding:
        """Whether the account has it."""
        try:
            await self.client.call("iam", "GetRole", RoleName=self.target)
        except NotFound:
            return ABSENT
        return Finding(exists=True, note="the account's: EC2 Spot needs it, whoever asks")

    async def ensure(self) -> None:
        """The account has it."""
        try:
            await self.client.call("iam", "CreateServiceLinkedRole", AWSServiceName=SPOT_SERVICE)
        except Refused:
            if not (await self.look()).exists:
                raise

    async def undo(self) -> None:
        """It stays: other things in the account may use it."""


def _short(arn: str) -> str:
    return arn.rpartition("/")[2]


def _attached_by_us(role: dict[str, Any]) -> list[str]:
    return tag_values(role.get("Tags")).get(ATTACHED, "").split()


def _additions(role: dict[str, Any], *, own: bool) -> tuple[str, ...]:
    """What of ours is in a role of others."""
    if own:
        return ()
    ours = ["our statement in the trust policy"] if has_ours(role["AssumeRolePolicyDocument"]) else []
    return (*ours, *_attached_by_us(role))
