"""The interruption queue on SQS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from nodesmith.adapters.aws.client import AwsClient
from nodesmith.adapters.aws.messages import parse_message
from nodesmith.ports.errors import NotFound
from nodesmith.ports.queue import Interruption

MESSAGES: Final = 10
WAIT_S: Final = 20
VISIBILITY_S: Final = 20


class SqsQueue:
    """A `Queue` by name; its URL is asked for once, and again after the queue was gone."""

    def __init__(self, client: AwsClient, name: str) -> None:
        self._client = client
        self._name = name
        self._url = ""

    async def check(self) -> None:
        """The queue is there and may be looked at.

        Raises:
            NotFound: when there is no such queue.
            Refused: when the policy does not allow to use it.
        """
        await self._call("GetQueueAttributes", AttributeNames=["QueueArn"])

    async def receive(self) -> Sequence[Interruption]:
        """Up to ten messages; waits up to 20 s for the first.

        Raises:
            NotFound: when there is no such queue.
        """
        answer = await self._call(
            "ReceiveMessage",
            MaxNumberOfMessages=MESSAGES,
            WaitTimeSeconds=WAIT_S,
            VisibilityTimeout=VISIBILITY_S,
            MessageSystemAttributeNames=["SentTimestamp"],
        )
        received = answer.get("Messages") or ()
        return [parse_message(each.get("Body") or "", each["ReceiptHandle"]) for each in received]

    async def delete(self, receipts: Sequence[str]) -> None:
        """The messages will not come again; one that cannot be deleted now does."""
        for at in range(0, len(receipts), MESSAGES):
            some = receipts[at : at + MESSAGES]
            entries = [{"Id": str(number), "ReceiptHandle": receipt} for number, receipt in enumerate(some)]
            await self._call("DeleteMessageBatch", Entries=entries)

    async def _call(self, operation: str, **parameters: Any) -> Any:
        try:
            if not self._url:
                self._url = str((await self._client.call("sqs", "GetQueueUrl", QueueName=self._name))["QueueUrl"])
            return await self._client.call("sqs", operation, QueueUrl=self._url, **parameters)
        except NotFound as error:
            self._url = ""
            message = f"queue {self._name} is not there: set INTERRUPTION_QUEUE to its name, or make it ({error})"
            raise NotFound(message) from error
