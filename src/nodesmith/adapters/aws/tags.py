"""Which tags everything that nodesmith makes carries, and which a user may not set (spec 7.10)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from nodesmith.adapters.aws.names import (
    TAG_CLUSTER,
    TAG_NODECLASS,
    TAG_NODEPOOL,
    TAG_REGION,
    tag_owner,
)

RESTRICTED: Final = (
    re.compile(r"^kubernetes\.io/cluster/[0-9A-Za-z][A-Za-z0-9\-_]*$"),
    re.compile(r"^karpenter\.sh/nodepool$"),
    re.compile(r"^eks:eks-cluster-name$"),
    re.compile(r"^karpenter\.k8s\.aws/ec2nodeclass$"),
    re.compile(r"^karpenter\.sh/nodeclaim$"),
)


def restricted_tag(tags: Mapping[str, str]) -> str | None:
    """The first tag key that users may not set, or None."""
    return next((key for key in sorted(tags) if any(pattern.match(key) for pattern in RESTRICTED)), None)


def launch_tags(cluster: str, own: Mapping[str, str], *, pool: str, node_class: str) -> dict[str, str]:
    """The tags of an instance, its volumes and everything beside it."""
    return {
        **own,
        tag_owner(cluster): "owned",
        TAG_NODEPOOL: pool,
        TAG_CLUSTER: cluster,
        TAG_NODECLASS: node_class,
    }


def profile_tags(cluster: str, own: Mapping[str, str], *, node_class: str, region: str) -> dict[str, str]:
    """The tags of an instance profile."""
    return {
        **own,
        tag_owner(cluster): "owned",
        TAG_CLUSTER: cluster,
        TAG_NODECLASS: node_class,
        TAG_REGION: region,
    }


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """The tags as AWS takes them, sorted."""
    return [{"Key": key, "Value": tags[key]} for key in sorted(tags)]


def tags_of(raw: Mapping[str, Any]) -> dict[str, str]:
    """The tags of something that AWS described."""
    return {each["Key"]: each["Value"] for each in raw.get("Tags") or ()}


def selector_filters(tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """The filters of one selector term: all of its tags; `*` stands for any value."""
    return [
        {"Name": "tag-key", "Values": [key]} if value == "*" else {"Name": f"tag:{key}", "Values": [value]}
        for key, value in sorted(tags.items())
    ]
