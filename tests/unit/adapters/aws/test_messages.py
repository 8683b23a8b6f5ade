"""Queue messages against what the peer makes of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from nodesmith.adapters.aws.messages import parse_message
from nodesmith.ports.queue import InterruptionKind
from tests.unit.adapters.aws.vectors import vectors

CASES = vectors("interruption")["cases"]
NEVER = "0001-01-01T00:00:00Z"


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_a_message_means_what_it_means_to_the_peer(case: dict[str, Any]) -> None:
    message = parse_message(case["body"], "receipt")
    # The peer drops a message that it cannot read; here it is a no-op, which is deleted just the same.
    assert message.kind == InterruptionKind(case.get("kind", "no_op"))
    assert list(message.instance_ids) == [each for each in case.get("instanceIDs", []) if each]
    assert message.receipt == "receipt"
    sent = case.get("startTime")
    assert message.sent_at == (datetime.fromisoformat(sent) if sent and sent != NEVER else None)


def test_all_42_messages_are_compared() -> None:
    assert len(CASES) == 42
