"""Lists that AWS pages by a marker of some name."""

from __future__ import annotations

from typing import Any

from nodesmith.adapters.aws.client import AwsClient


async def marked(
    client: AwsClient, service: str, operation: str, items: str, *, cursor: str = "Marker", **parameters: Any
) -> list[Any]:
    """The items of all pages; IAM's pages have the next page's marker only while they are truncated.

    Raises:
        PortError: when AWS does not answer.
    """
    found: list[Any] = []
    following: dict[str, Any] = {}
    while True:
        answer = await client.call(service, operation, **parameters, **following)
        found += answer.get(items) or ()
        marker = answer.get(cursor)
        if not marker or answer.get("IsTruncated") is False:
            return found
        following = {cursor: marker}
