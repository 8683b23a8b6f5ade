"""Nodes are let into the cluster: by an EKS access entry, or by aws-auth where the cluster's mode knows nothing else.

The one thing to know: an access entry of others is never replaced, since to change its type EKS wants it deleted first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from nodesmith.adapters.aws.client import AwsClient
from nodesmith.install.awsauth import AwsAuth, is_mapped
from nodesmith.install.names import OWNER, Names
from nodesmith.install.settling import call_until_known
from nodesmith.install.setup import ABSENT, Finding, Step
from nodesmith.ports.cluster import Cluster
from nodesmith.ports.errors import NotFound

FOR_NODES: Final = "EC2_LINUX"


async def access_step(client: AwsClient, cluster: Cluster, names: Names) -> Step:
    """The step for the cluster's authentication mode."""
    told = (await client.call("eks", "DescribeCluster", name=names.cluster))["cluster"]
    mode = (told.get("accessConfig") or {}).get("authenticationMode") or "CONFIG_MAP"
    if "API" not in mode:
        return AwsAuth(cluster, names)
    return AccessEntry(client, names, cluster if "CONFIG_MAP" in mode else None)


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """The node role as an access entry of EKS; `aws_auth` is the cluster where aws-auth counts as well."""

    client: AwsClient
    names: Names
    aws_auth: Cluster | None = None
    name: str = "access entry"

    @property
    def target(self) -> str:
        """The role."""
        return self.names.node_role

    async def look(self) -> Finding:
        """Whether the role has an entry for nodes, or is mapped in aws-auth already."""
        entry = await self._entry()
        if entry is None:
            is_in = self.aws_auth is not None and await is_mapped(self.aws_auth, self._role)
            return Finding(exists=True, note="mapped in aws-auth, not made by install") if is_in else ABSENT
        own = (entry.get("tags") or {}).get(OWNER) == self.names.cluster
        if entry["type"] == FOR_NODES:
            return Finding(exists=True, is_own=own)
        told = f"its type is {entry['type']}"
        if own:
            return Finding(exists=True, is_own=True, differences=(told,))
        cure = f"delete it if it is not needed: aws eks delete-access-entry --cluster-name {self.names.cluster}"
        return Finding(exists=True, obstacle=f"{told}: {cure} --principal-arn {self._role}")

    async def ensure(self) -> None:
        """The role has an entry for nodes."""
        if await self._entry() is not None:
            await self._call("DeleteAccessEntry")
        told = {"clusterName": self.names.cluster, "principalArn": self._role, "type": FOR_NODES}
        tags = {OWNER: self.names.cluster}
        await call_until_known(self.client, "eks", "CreateAccessEntry", **told, tags=tags)

    async def undo(self) -> None:
        """The entry is gone, if a step made it."""
        entry = await self._entry()
        if entry is not None and (entry.get("tags") or {}).get(OWNER) == self.names.cluster:
            await self._call("DeleteAccessEntry")

    @property
    def _role(self) -> str:
        return self.names.role_arn(self.names.node_role)

    async def _entry(self) -> dict[str, Any] | None:
        try:
            told = await self._call("DescribeAccessEntry")
        except NotFound:
            return None
        return dict(told["accessEntry"])

    async def _call(self, operation: str, **parameters: Any) -> Any:
        return await self.client.call(
            "eks", operation, clusterName=self.names.cluster, principalArn=self._role, **parameters
        )
