"""What the adapter must know of the cluster's own objects, and a reader of them over the Cluster port."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.api.kinds import EC2_NODE_CLASS, NODE_CLAIM, NODE_POOL
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.ports.cluster import Cluster
from nodesmith.ports.errors import NotFound


class Objects(Protocol):
    """Karpenter's objects as they are now; a store of watched objects will do."""

    async def node_class(self, name: str) -> EC2NodeClass | None:
        """The EC2NodeClass, or None where there is none."""
        ...

    async def node_classes(self) -> Sequence[EC2NodeClass]:
        """All EC2NodeClasses."""
        ...

    async def node_pools(self) -> Sequence[NodePool]:
        """All NodePools."""
        ...

    async def node_claims(self) -> Sequence[NodeClaim]:
        """All NodeClaims."""
        ...


class ClusterObjects:
    """Reads them from the API server each time."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def node_class(self, name: str) -> EC2NodeClass | None:
        """The EC2NodeClass, or None where there is none."""
        try:
            return await self._cluster.get(EC2_NODE_CLASS, name)
        except NotFound:
            return None

    async def node_classes(self) -> Sequence[EC2NodeClass]:
        """All EC2NodeClasses."""
        return (await self._cluster.list(EC2_NODE_CLASS)).items

    async def node_pools(self) -> Sequence[NodePool]:
        """All NodePools."""
        return (await self._cluster.list(NODE_POOL)).items

    async def node_claims(self) -> Sequence[NodeClaim]:
        """All NodeClaims."""
        return (await self._cluster.list(NODE_CLAIM)).items
