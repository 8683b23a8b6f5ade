from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from nodesmith.adapters.aws.policy import Decision, PolicyError, evaluate, parse

INSTANCE = "arn:aws:ec2:ap-northeast-2:123456789012:instance/i-1"


def decide(
    statements: Any,
    action: str = "ec2:RunInstances",
    resource: str = INSTANCE,
    context: Mapping[str, Any] | None = None,
) -> Decision:
    return evaluate(parse({"Statement": statements}), action, resource, context or {}).decision


def allow(condition: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"Effect": "Allow", "Action": "ec2:*", "Resource": "*", **more}
    if condition is not None:
        row["Condition"] = condition
    return row


@pytest.mark.parametrize(
    ("pattern", "action", "wanted"),
    [
        ("ec2:RunInstances", "ec2:RunInstances", True),
        ("EC2:runinstances", "ec2:RunInstances", True),
        ("ec2:Describe*", "ec2:DescribeSubnets", True),
        ("ec2:Describe*", "ec2:RunInstances", False),
        ("*", "iam:PassRole", True),
        ("ec2:RunInstance?", "ec2:RunInstances", True),
    ],
)
def test_actions_are_patterns_without_case(pattern: str, action: str, wanted: bool) -> None:  # noqa: FBT001 - a table's cell
    assert (decide(allow(Action=pattern), action) is Decision.ALLOWED) == wanted


def test_not_action_allows_the_rest() -> None:
    row = {"Effect": "Allow", "NotAction": ["iam:*"], "Resource": "*"}
    assert decide(row, "ec2:RunInstances") is Decision.ALLOWED
    assert decide(row, "iam:PassRole") is Decision.IMPLICIT_DENY


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("*", True),
        (INSTANCE, True),
        ("arn:aws:ec2:*:123456789012:instance/*", True),
        ("arn:aws:ec2:ap-northeast-2:*:instance/*", True),
        ("arn:aws:ec2:us-east-1:*:instance/*", False),
        ("arn:aws:ec2:*:*:volume/*", False),
        ("arn:aws:*:instance/i-1", False),
    ],
)
def test_resources_are_matched_part_by_part(pattern: str, wanted: bool) -> None:  # noqa: FBT001 - a table's cell
    assert (decide(allow(Resource=pattern)) is Decision.ALLOWED) == wanted


def test_a_resource_pattern_does_not_cover_an_action_on_everything() -> None:
    assert decide(allow(Resource=INSTANCE), resource="*") is Decision.IMPLICIT_DENY


def test_not_resource_allows_the_rest() -> None:
    row = {"Effect": "Allow", "Action": "ec2:*", "NotResource": INSTANCE}
    assert decide(row) is Decision.IMPLICIT_DENY
    assert decide(row, resource=INSTANCE + "2") is Decision.ALLOWED


def test_an_explicit_deny_wins_and_is_named() -> None:
    rows = [allow(), {"Sid": "Never", "Effect": "Deny", "Action": "ec2:RunInstances", "Resource": "*"}]
    verdict = evaluate(parse({"Statement": rows}, name="policy"), "ec2:RunInstances", INSTANCE, {})
    assert verdict.decision is Decision.EXPLICIT_DENY
    assert [statement.label for statement in verdict.statements] == ["policy/Never"]


TAG = "aws:RequestTag/team"
CONDITIONS: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    ({"StringEquals": {TAG: "a"}}, {TAG: "a"}, True),
    ({"StringEquals": {TAG: "a"}}, {TAG: "A"}, False),
    ({"StringEquals": {TAG: ["a", "b"]}}, {TAG: "b"}, True),
    ({"StringEquals": {TAG: "a"}}, {}, False),
    ({"StringEquals": {"AWS:REQUESTTAG/team": "a"}}, {TAG: "a"}, True),
    ({"StringEqualsIgnoreCase": {TAG: "a"}}, {TAG: "A"}, True),
    ({"StringNotEquals": {TAG: "a"}}, {TAG: "b"}, True),
    ({"StringNotEquals": {TAG: ["a", "b"]}}, {TAG: "b"}, False),
    ({"StringNotEquals": {TAG: "a"}}, {}, True),
    ({"StringLike": {TAG: "*"}}, {TAG: "x"}, True),
    ({"StringLike": {TAG: "*"}}, {}, False),
    ({"StringLike": {TAG: "x-?"}}, {TAG: "x-12"}, False),
    ({"StringNotLike": {TAG: "x-*"}}, {TAG: "x-1"}, False),
    ({"StringEqualsIfExists": {TAG: "a"}}, {}, True),
    ({"StringEqualsIfExists": {TAG: "a"}}, {TAG: "b"}, False),
    ({"Null": {TAG: "true"}}, {}, True),
    ({"Null": {TAG: "true"}}, {TAG: "a"}, False),
    ({"Null": {TAG: False}}, {TAG: "a"}, True),
    ({"Bool": {"aws:SecureTransport": "true"}}, {"aws:SecureTransport": "true"}, True),
    ({"Bool": {"aws:SecureTransport": True}}, {"aws:SecureTransport": "false"}, False),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws:TagKeys": ["a"]}, True),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws:TagKeys": ["a", "c"]}, False),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}, {}, True),
    ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}}, {"aws:TagKeys": ["c", "a"]}, True),
    ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}}, {"aws:TagKeys": ["c"]}, False),
    ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}}, {}, False),
    ({"ForAllValues:StringNotEquals": {"aws:TagKeys": ["a"]}}, {"aws:TagKeys": ["b", "a"]}, False),
    ({"ArnLike": {"k": "arn:aws:iam::*:role/x*"}}, {"k": "arn:aws:iam::123456789012:role/xy"}, True),
    ({"ArnLike": {"k": "arn:aws:iam::*role/x"}}, {"k": "arn:aws:iam::123456789012:role/x"}, False),
    ({"ArnNotEquals": {"k": "arn:aws:iam::1:role/x"}}, {"k": "arn:aws:iam::1:role/y"}, True),
    ({"NumericLessThanEquals": {"k": "10"}}, {"k": "10"}, True),
    ({"NumericGreaterThan": {"k": 10}}, {"k": "10"}, False),
    ({"DateLessThan": {"k": "2026-01-01T00:00:00+00:00"}}, {"k": "2025-01-01T00:00:00+00:00"}, True),
    ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:SourceIp": "10.1.2.3"}, True),
    ({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:SourceIp": "10.1.2.3"}, False),
    ({"StringEquals": {TAG: "${aws:username}"}}, {TAG: "ann", "aws:username": "ann"}, True),
    ({"StringEquals": {TAG: "${aws:username, 'nobody'}"}}, {TAG: "nobody"}, True),
    ({"StringEquals": {TAG: "a"}, "StringLike": {"k": "*"}}, {TAG: "a"}, False),
]


@pytest.mark.parametrize(("condition", "context", "wanted"), CONDITIONS)
def test_conditions(condition: dict[str, Any], context: dict[str, Any], wanted: bool) -> None:  # noqa: FBT001 - a table's cell
    assert (decide(allow(condition), context=context) is Decision.ALLOWED) == wanted


@pytest.mark.parametrize(
    "document",
    [
        "not json",
        "{}",
        {"Statement": [{"Effect": "Maybe", "Action": "*", "Resource": "*"}]},
        {"Statement": [{"Effect": "Allow", "Resource": "*"}]},
        {"Statement": [{"Effect": "Allow", "Action": "*"}]},
        {"Statement": [{"Effect": "Allow", "Action": "*", "NotAction": "*", "Resource": "*"}]},
        {"Statement": [allow({"StringEqual": {"k": "v"}})]},
        {"Statement": [allow({"ForSomeValues:StringEquals": {"k": "v"}})]},
    ],
)
def test_what_is_not_a_policy_is_refused(document: Any) -> None:
    with pytest.raises(PolicyError):
        parse(document)
