"""The tags by which an EC2NodeClass finds subnets and security groups.

The one thing to know: where somebody has tagged subnets for the cluster before, those are the ones he wants, and no
others are tagged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nodesmith.adapters.aws.client import AwsClient
from nodesmith.install.names import DISCOVERY, OWNER, Names
from nodesmith.install.setup import Finding
from nodesmith.install.tags import tag_values


@dataclass(frozen=True, slots=True)
class Network:
    """What nodes are to be found by tag: subnets and security groups, by id."""

    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]


async def network_of(client: AwsClient, cluster: Mapping[str, Any]) -> Network:
    """Where the cluster's nodes belong: the subnets of its node groups, else its private ones, else all of them."""
    config = cluster["resourcesVpcConfig"]
    subnets = await _of_node_groups(client, cluster["name"]) or await _private(client, config["subnetIds"])
    return Network(tuple(subnets or config["subnetIds"]), (config["clusterSecurityGroupId"],))


async def _of_node_groups(client: AwsClient, cluster: str) -> list[str]:
    groups = await client.everything("eks", "ListNodegroups", "nodegroups", cursor="nextToken", clusterName=cluster)
    found: dict[str, None] = {}
    for name in map(str, groups):
        told = await client.call("eks", "DescribeNodegroup", clusterName=cluster, nodegroupName=name)
        found |= dict.fromkeys(told["nodegroup"].get("subnets") or ())
    return list(found)


async def _private(client: AwsClient, subnets: Sequence[str]) -> list[str]:
    if not subnets:
        return []
    told = await client.everything("ec2", "DescribeSubnets", "Subnets", SubnetIds=list(subnets))
    public = {each["SubnetId"] for each in told if each.get("MapPublicIpOnLaunch")}
    return [each for each in subnets if each not in public]


@dataclass(frozen=True, slots=True)
class DiscoveryTags:
    """The discovery tag on the nodes' subnets and on the cluster's security group."""

    client: AwsClient
    names: Names
    network: Network
    name: str = "discovery tags"

    @property
    def target(self) -> str:
        """What is tagged."""
        count = len(self.network.subnets)
        return f"{count} subnet{'s' if count != 1 else ''}, {', '.join(self.network.security_groups)}"

    async def look(self) -> Finding:
        """Which subnets and groups are not found by tag."""
        tags, chosen = await self._tags(), await self._chosen_by_others()
        bare = self._bare(tags, chosen)
        taken = {each: tags[each][DISCOVERY] for each in self._wanted(chosen) if self._is_taken(tags[each])}
        if taken and len(taken) == len(self.network.subnets):
            subnet, other = next(iter(taken.items()))
            return Finding(exists=True, obstacle=f"{subnet} is tagged for the cluster {other}: choose subnets by id")
        wanted = self._wanted(chosen)
        return Finding(
            exists=len(bare) + len(taken) < len(wanted),
            differences=tuple(f"{each} is not tagged" for each in bare),
            is_own=any(self._is_own(each) for each in tags.values()),
            note=f"{', '.join(chosen)} tagged before, not by install" if chosen else "",
        )

    async def ensure(self) -> None:
        """All are found by tag; those that others tagged keep their mark."""
        bare = self._bare(await self._tags(), await self._chosen_by_others())
        if bare:
            tags = [{"Key": DISCOVERY, "Value": self.names.cluster}, *self.names.tags()]
            await self.client.call("ec2", "CreateTags", Resources=bare, Tags=tags)

    async def undo(self) -> None:
        """The tags that a step made are gone."""
        own = [each for each, tags in (await self._tags()).items() if self._is_own(tags)]
        if own:
            tags = [{"Key": DISCOVERY}, {"Key": OWNER}]
            await self.client.call("ec2", "DeleteTags", Resources=own, Tags=tags)

    def _wanted(self, chosen: Sequence[str]) -> tuple[str, ...]:
        return self.network.security_groups if chosen else (*self.network.subnets, *self.network.security_groups)

    def _bare(self, tags: Mapping[str, Mapping[str, str]], chosen: Sequence[str]) -> list[str]:
        return [each for each in self._wanted(chosen) if DISCOVERY not in tags[each]]

    def _is_taken(self, tags: Mapping[str, str]) -> bool:
        """Whether another cluster is found by this tag: one value is all it has."""
        return tags.get(DISCOVERY, self.names.cluster) != self.names.cluster

    def _is_own(self, tags: Mapping[str, str]) -> bool:
        return tags.get(OWNER) == self.names.cluster

    async def _chosen_by_others(self) -> list[str]:
        """The subnets that somebody else tagged for this cluster."""
        filters = [{"Name": f"tag:{DISCOVERY}", "Values": [self.names.cluster]}]
        found = await self.client.everything("ec2", "DescribeSubnets", "Subnets", Filters=filters)
        return [each["SubnetId"] for each in found if not self._is_own(tag_values(each.get("Tags")))]

    async def _tags(self) -> dict[str, dict[str, str]]:
        ids = (*self.network.subnets, *self.network.security_groups)
        found: dict[str, dict[str, str]] = {each: {} for each in ids}
        filters = [{"Name": "resource-id", "Values": list(ids)}]
        for tag in await self.client.everything("ec2", "DescribeTags", "Tags", Filters=filters):
            found[tag["ResourceId"]][tag["Key"]] = tag["Value"]
        return found
