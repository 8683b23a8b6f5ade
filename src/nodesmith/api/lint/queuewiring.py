"""What makes a queue receive interruptions, as Terraform: a policy that lets EventBridge send, rules, targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_POLICY: Final = """\
resource "aws_sqs_queue_policy" "LABEL" {
  queue_url = aws_sqs_queue.LABEL.url
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "EC2InterruptionPolicy"
        Effect    = "Allow"
        Principal = { Service = ["events.amazonaws.com", "sqs.amazonaws.com"] }
        Action    = "sqs:SendMessage"
        Resource  = aws_sqs_queue.LABEL.arn
      },
      {
        Sid       = "DenyHTTP"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = aws_sqs_queue.LABEL.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}
"""
_RULES: Final = """\
resource "aws_cloudwatch_event_rule" "LABEL" {
  for_each = {
EVENTS
  }

  name_prefix   = "Karpenter${each.key}-"
  event_pattern = jsonencode({ source = [each.value.source], "detail-type" = [each.value.detail] })
}

resource "aws_cloudwatch_event_target" "LABEL" {
  for_each = aws_cloudwatch_event_rule.LABEL

  rule = each.value.name
  arn  = aws_sqs_queue.LABEL.arn
}
"""


def wiring(label: str, events: Mapping[str, tuple[str, str]], *, has_policy: bool, has_targets: bool) -> str:
    """The resources that the queue of this label lacks."""
    width = max(map(len, events), default=0)
    listed = "\n".join(
        f'    {name.ljust(width)} = {{ source = "{source}", detail = "{detail}" }}'
        for name, (source, detail) in events.items()
    )
    parts = [text for text, is_there in ((_POLICY, has_policy), (_RULES, has_targets)) if not is_there]
    return "\n".join(parts).replace("LABEL", label).replace("EVENTS", listed)
