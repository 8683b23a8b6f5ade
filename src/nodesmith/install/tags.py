"""Who made a thing in AWS, by its tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nodesmith.install.names import OWNER, Names


def tag_values(tags: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """Tags as IAM, EC2 and EventBridge list them, by key."""
    return {str(each["Key"]): str(each["Value"]) for each in tags or ()}


def is_own(tags: Iterable[Mapping[str, Any]] | None, names: Names) -> bool:
    """Whether a step made the thing that has these tags."""
    return tag_values(tags).get(OWNER) == names.cluster
