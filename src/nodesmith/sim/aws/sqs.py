"""SQS by the box's clock: when a message was sent, and how long it is kept.

Visibility stays with the machine's clock: it is about a consumer that takes too long, and consumers run in real time.
"""

from __future__ import annotations

from typing import Any

from moto.sqs import urls as moto_urls
from moto.sqs.models import SQSBackend

from nodesmith.sim.aws import world


class BoxSQSBackend(SQSBackend):
    """SQS of one account in one region."""

    @property
    def _url_module(self) -> Any:
        return moto_urls

    def send_message(self, queue_name: str, *args: Any, **kwargs: Any) -> Any:
        """Queue a message, sent now."""
        message: Any = super().send_message(queue_name, *args, **kwargs)
        message.sent_timestamp = int(world.current().now().timestamp() * 1000)
        return message

    def receive_message(self, queue_name: str, count: int, wait_seconds_timeout: int, *args: Any, **kwargs: Any) -> Any:
        """What is there now; the server waits, so that nobody holds the box meanwhile."""
        del wait_seconds_timeout
        return super().receive_message(queue_name, count, 0, *args, **kwargs)

    def is_message_valid_based_on_retention_period(self, queue_name: str, message: Any) -> bool:
        """Whether the message is not too old."""
        queue: Any = self.get_queue(queue_name)
        kept_s = queue.message_retention_period
        return bool(world.current().now().timestamp() <= message.sent_timestamp / 1000 + kept_s)
