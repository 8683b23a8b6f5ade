"""Nodes are let into the cluster: by an EKS access entry, or by aws-auth where the cluster's mode knows nothing else.

The ConfigMap belongs to everybody: our entry is added to what is there, and nothing else in it is touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from nodesmith.adapters.aws.client import AwsClient
from nodesmith.api.kind import Manifest
from nodesmith.api.kinds import CONFIG_MAP
from nodesmith.install.names import OWNER, Names
from nodesmith.install.setup import Finding, Step
from nodesmith.ports.cluster import Cluster
from nodesmith.ports.errors import NotFound

AWS_AUTH: Final = "aws-auth"
NAMESPACE: Final = "kube-system"
GROUPS: Final = ("system:bootstrappers", "system:nodes")
USERNAME: Final = "system:node:{{EC2PrivateDNSName}}"
_MARK: Final = OWNER.replace(":", ".io/")


async def access_step(client: AwsClient, cluster: Cluster, names: Names) -> Step:
    """The step for the cluster's authentication mode."""
    told = (await client.call("eks", "DescribeCluster", name=names.cluster))["cluster"]
    mode = (told.get("accessConfig") or {}).get("authenticationMode") or "CONFIG_MAP"
    return AccessEntry(client, names) if "API" in mode else AwsAuth(cluster, names)


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """The node role as an access entry of EKS."""

    client: AwsClient
    names: Names
    name: str = "access entry"

    @property
    def target(self) -> str:
        """The role."""
        return self.names.node_role

    async def look(self) -> Finding:
        """Whether the role has an entry for nodes."""
        entry = await self._entry()
        if entry is None:
            return Finding(exists=False)
        is_for_nodes = entry["type"] == "EC2_LINUX"
        return Finding(exists=True, differences=() if is_for_nodes else (f"its type is {entry['type']}",))

    async def ensure(self) -> None:
        """The role has an entry for nodes."""
        role = self.names.role_arn(self.names.node_role)
        if await self._entry() is not None:
            await self.client.call("eks", "DeleteAccessEntry", clusterName=self.names.cluster, principalArn=role)
        tags = {OWNER: self.names.cluster}
        await self.client.call(
            "eks", "CreateAccessEntry", clusterName=self.names.cluster, principalArn=role, type="EC2_LINUX", tags=tags
        )

    async def undo(self) -> None:
        """The entry is gone, if a step made it."""
        entry = await self._entry()
        if entry is not None and (entry.get("tags") or {}).get(OWNER) == self.names.cluster:
            role = self.names.role_arn(self.names.node_role)
            await self.client.call("eks", "DeleteAccessEntry", clusterName=self.names.cluster, principalArn=role)

    async def _entry(self) -> dict[str, Any] | None:
        role = self.names.role_arn(self.names.node_role)
        try:
            told = await self.client.call(
                "eks", "DescribeAccessEntry", clusterName=self.names.cluster, principalArn=role
            )
        except NotFound:
            return None
        return dict(told["accessEntry"])


@dataclass(frozen=True, slots=True)
class AwsAuth:
    """The node role in the aws-auth ConfigMap."""

    cluster: Cluster
    names: Names
    name: str = "aws-auth entry"

    @property
    def target(self) -> str:
        """The role."""
        return self.names.node_role

    async def look(self) -> Finding:
        """Whether the role is mapped, to the groups of nodes."""
        row = next((each for each in _rows(await self._present()) if each.get("rolearn") == self._arn), None)
        if row is None:
            return Finding(exists=False)
        missing = [group for group in GROUPS if group not in (row.get("groups") or ())]
        return Finding(exists=True, differences=tuple(f"group {group} is missing" for group in missing))

    async def ensure(self) -> None:
        """The role is mapped; everything else in the ConfigMap is as it was."""
        present = await self._present()
        entry = {"rolearn": self._arn, "username": USERNAME, "groups": list(GROUPS)}
        rows = [each for each in _rows(present) if each.get("rolearn") != self._arn]
        await self._write(present, [*rows, entry], mark=self.names.node_role)

    async def undo(self) -> None:
        """The entry is gone, if a step made it."""
        present = await self._present()
        if present is not None and _annotations(present).get(_MARK) == self.names.node_role:
            rows = [each for each in _rows(present) if each.get("rolearn") != self._arn]
            await self._write(present, rows, mark=None)

    @property
    def _arn(self) -> str:
        return self.names.role_arn(self.names.node_role)

    async def _present(self) -> Manifest | None:
        try:
            return await self.cluster.get(CONFIG_MAP, AWS_AUTH, namespace=NAMESPACE)
        except NotFound:
            return None

    async def _write(self, present: Manifest | None, rows: Sequence[Any], *, mark: str | None) -> None:
        data = {"mapRoles": yaml.safe_dump(list(rows), sort_keys=False)}
        changed: dict[str, Any] = {"metadata": {"annotations": {_MARK: mark}}, "data": data}
        if present is None:
            changed["metadata"] |= {"name": AWS_AUTH, "namespace": NAMESPACE}
            await self.cluster.create(CONFIG_MAP, changed)
        else:
            version = str(present["metadata"]["resourceVersion"])
            await self.cluster.patch(CONFIG_MAP, AWS_AUTH, changed, namespace=NAMESPACE, resource_version=version)


def _rows(present: Manifest | None) -> list[Any]:
    text = ((present or {}).get("data") or {}).get("mapRoles") or ""
    return list(yaml.safe_load(text) or ())


def _annotations(present: Manifest) -> dict[str, str]:
    return dict(present["metadata"].get("annotations") or {})
