"""How the controller's service account comes to its role: through the cluster's OIDC issuer, or by pod identity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from nodesmith.adapters.aws.client import AwsClient
from nodesmith.install.documents import Document
from nodesmith.install.names import OWNER, Names
from nodesmith.install.policies import document
from nodesmith.install.settling import call_until_known
from nodesmith.install.setup import ABSENT, Finding
from nodesmith.install.tags import is_own
from nodesmith.ports.errors import NotFound

AUDIENCE: Final = "sts.amazonaws.com"
AGENT: Final = "eks-pod-identity-agent"


class Identity(StrEnum):
    """How the controller proves who it is."""

    IRSA = "irsa"
    POD_IDENTITY = "pod-identity"


def pod_identity_trust(names: Names) -> Document:
    """The cluster's pod identity agent may hand the role to the controller, and to nobody else."""
    wanted = {
        "aws:SourceAccount": names.account,
        "aws:RequestTag/eks-cluster-arn": names.cluster_arn,
        "aws:RequestTag/kubernetes-namespace": names.namespace,
        "aws:RequestTag/kubernetes-service-account": names.service_account,
    }
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {"StringEquals": wanted},
    }
    return document(statement)


async def identity_in_use(client: AwsClient, names: Names) -> Identity:
    """Pod identity where the service account has an association, else the issuer."""
    has_association = bool(await associations(client, names))
    return Identity.POD_IDENTITY if has_association else Identity.IRSA


async def associations(client: AwsClient, names: Names) -> list[Mapping[str, Any]]:
    """The pod identity associations of the controller's service account."""
    told = await client.call(
        "eks",
        "ListPodIdentityAssociations",
        clusterName=names.cluster,
        namespace=names.namespace,
        serviceAccount=names.service_account,
    )
    return list(told.get("associations") or ())


@dataclass(frozen=True, slots=True)
class OidcProvider:
    """IAM knows the cluster's issuer, so that service accounts can have roles."""

    client: AwsClient
    names: Names
    name: str = "OIDC provider"

    @property
    def target(self) -> str:
        """The issuer."""
        return self.names.issuer_path

    async def look(self) -> Finding:
        """Whether IAM knows it, for STS."""
        told = await self._told()
        if told is None:
            return ABSENT
        own = is_own(told.get("Tags"), self.names)
        differences = () if AUDIENCE in told["ClientIDList"] else (f"the audience {AUDIENCE} is missing",)
        users = await self._other_users() if own else []
        note = f"made by install, but {users[0]} uses it too" if users else ""
        return Finding(exists=True, differences=differences, is_own=own and not users, note=note)

    async def ensure(self) -> None:
        """IAM knows the issuer, for STS."""
        told = await self._told()
        if told is None:
            tags, url = self.names.tags(), self.names.issuer
            await self.client.call("iam", "CreateOpenIDConnectProvider", Url=url, ClientIDList=[AUDIENCE], Tags=tags)
        elif AUDIENCE not in told["ClientIDList"]:
            await self._call("AddClientIDToOpenIDConnectProvider", ClientID=AUDIENCE)

    async def undo(self) -> None:
        """The provider is gone, if a step made it and no other role trusts it by now."""
        told = await self._told()
        if told is not None and is_own(told.get("Tags"), self.names) and not await self._other_users():
            await self._call("DeleteOpenIDConnectProvider")

    async def _told(self) -> Mapping[str, Any] | None:
        try:
            told: Mapping[str, Any] = await self._call("GetOpenIDConnectProvider")
        except NotFound:
            return None
        return told

    async def _other_users(self) -> list[str]:
        """Other roles that trust the issuer: they came later, and would be broken without it."""
        roles = await self.client.everything("iam", "ListRoles", "Roles", cursor="Marker")
        own = self.names.controller_role.rpartition("/")[2]
        return [
            role["RoleName"]
            for role in roles
            if role["RoleName"] != own and self.names.issuer_arn in str(role.get("AssumeRolePolicyDocument"))
        ]

    async def _call(self, operation: str, **parameters: Any) -> Any:
        arn = self.names.issuer_arn
        return await self.client.call("iam", operation, OpenIDConnectProviderArn=arn, **parameters)


@dataclass(frozen=True, slots=True)
class PodIdentityAgent:
    """The add-on that hands roles to pods on each node."""

    client: AwsClient
    names: Names
    name: str = "add-on"
    target: str = AGENT

    async def look(self) -> Finding:
        """Whether the cluster has it."""
        addon = await self._addon()
        if addon is None:
            return ABSENT
        return Finding(exists=True, is_own=(addon.get("tags") or {}).get(OWNER) == self.names.cluster)

    async def ensure(self) -> None:
        """The cluster has it."""
        if await self._addon() is None:
            tags = {OWNER: self.names.cluster}
            await self._call("CreateAddon", tags=tags)

    async def undo(self) -> None:
        """It is gone, if a step made it."""
        addon = await self._addon()
        if addon is not None and (addon.get("tags") or {}).get(OWNER) == self.names.cluster:
            await self._call("DeleteAddon")

    async def _addon(self) -> Mapping[str, Any] | None:
        try:
            addon: Mapping[str, Any] = (await self._call("DescribeAddon"))["addon"]
        except NotFound:
            return None
        return addon

    async def _call(self, operation: str, **parameters: Any) -> Any:
        return await self.client.call(
            "eks", operation, clusterName=self.names.cluster, addonName=self.target, **parameters
        )


@dataclass(frozen=True, slots=True)
class PodIdentity:
    """The service account's role, as EKS keeps it."""

    client: AwsClient
    names: Names
    name: str = "pod identity"

    @property
    def target(self) -> str:
        """The service account."""
        return f"{self.names.namespace}/{self.names.service_account}"

    async def look(self) -> Finding:
        """Whether the service account has the role."""
        found = await self._association()
        if found is None:
            return ABSENT
        own = (found.get("tags") or {}).get(OWNER) == self.names.cluster
        if found["roleArn"] == self._role:
            return Finding(exists=True, is_own=own)
        if own:
            return Finding(exists=True, is_own=True, differences=(f"its role is {found['roleArn']}",))
        return Finding(exists=True, obstacle=f"the service account has the role {found['roleArn']}, from somebody else")

    async def ensure(self) -> None:
        """The service account has the role."""
        found = await self._association()
        if found is None:
            await call_until_known(
                self.client,
                "eks",
                "CreatePodIdentityAssociation",
                clusterName=self.names.cluster,
                namespace=self.names.namespace,
                serviceAccount=self.names.service_account,
                roleArn=self._role,
                tags={OWNER: self.names.cluster},
            )
        elif found["roleArn"] != self._role:
            await self._call("UpdatePodIdentityAssociation", found, roleArn=self._role)

    async def undo(self) -> None:
        """The association is gone, if a step made it."""
        found = await self._association()
        if found is not None and (found.get("tags") or {}).get(OWNER) == self.names.cluster:
            await self._call("DeletePodIdentityAssociation", found)

    @property
    def _role(self) -> str:
        return self.names.role_arn(self.names.controller_role)

    async def _association(self) -> Mapping[str, Any] | None:
        """A list does not tell the role, so the one that is there is asked for by its id."""
        for listed in await associations(self.client, self.names):
            found: Mapping[str, Any] = (await self._call("DescribePodIdentityAssociation", listed))["association"]
            return found
        return None

    async def _call(self, operation: str, association: Mapping[str, Any], **parameters: Any) -> Any:
        return await self.client.call(
            "eks",
            operation,
            clusterName=self.names.cluster,
            associationId=association["associationId"],
            **parameters,
        )
