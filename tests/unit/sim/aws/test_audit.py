"""Recorded calls against policies: what is missing is named, and so is what nobody needed."""

from __future__ import annotations

from datetime import UTC, datetime

from nodesmith.sim.aws.audit import Audit, audit
from nodesmith.sim.aws.control import Needed, RecordedCall

POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Sid": "Look", "Effect": "Allow", "Action": "ec2:DescribeImages", "Resource": "*"},
        {
            "Sid": "Tag",
            "Effect": "Allow",
            "Action": ["ec2:CreateTags", "ec2:DeleteTags"],
            "Resource": "arn:aws:ec2:*:*:instance/*",
            "Condition": {"StringEquals": {"aws:ResourceTag/owner": "us"}},
        },
    ],
}
INSTANCE = "arn:aws:ec2:eu-west-1:1:instance/i-1"


def call(action: str, resource: str, **tags: str) -> RecordedCall:
    context = {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
    needed = (Needed(f"ec2:{action}", resource, context),)
    return RecordedCall(1, datetime(2026, 1, 1, tzinfo=UTC), "ec2", action, "eu-west-1", "", {}, needed, 200, None)


def test_what_is_needed_is_allowed_and_used() -> None:
    calls = [
        call("DescribeImages", "*"),
        call("CreateTags", INSTANCE, owner="us"),
        call("DeleteTags", INSTANCE, owner="us"),
    ]
    assert audit(calls, {"Policy": POLICY}) == Audit((), ())


def test_an_action_that_nobody_needed_is_named_with_its_statement() -> None:
    calls = [call("CreateTags", INSTANCE, owner="us")]
    assert audit(calls, {"Policy": POLICY}).unused == ("Policy/Look: ec2:DescribeImages", "Policy/Tag: ec2:DeleteTags")


def test_a_condition_that_does_not_hold_is_no_permission_and_no_use() -> None:
    found = audit([call("DescribeImages", "*"), call("CreateTags", INSTANCE, owner="them")], {"Policy": POLICY})
    assert found.refused == (f"ec2:CreateTags needs ec2:CreateTags on {INSTANCE}",)
    assert "Policy/Tag: ec2:CreateTags" in found.unused
