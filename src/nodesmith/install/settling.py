"""Calls that AWS refuses only because it has not heard yet of what was made, or deleted, a moment ago."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from nodesmith.adapters.aws.client import Answer, AwsClient
from nodesmith.adapters.aws.errors import AwsRefused

WITHIN: Final = timedelta(seconds=75)
"""A queue's name is free again after a minute; a new role is known everywhere after some seconds."""

_AGAIN_AFTER: Final = timedelta(seconds=3)
_NOT_YET: Final = frozenset(
    {
        "InvalidParameterException",
        "AWS.SimpleQueueService.QueueDeletedRecently",
        "QueueDeletedRecently",
    }
)


async def call_until_known(client: AwsClient, service: str, operation: str, **parameters: Any) -> Answer:
    """The answer; refusals that may come from what is too new are tried again for a while.

    Raises:
        PortError: what AWS said in the end.
    """
    end = client.clock.now() + WITHIN
    while True:
        try:
            return await client.call(service, operation, **parameters)
        except AwsRefused as error:
            if error.answer.code not in _NOT_YET or client.clock.now() >= end:
                raise
        await client.clock.sleep(_AGAIN_AFTER)
