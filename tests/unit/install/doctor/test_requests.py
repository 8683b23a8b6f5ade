"""What the controller asks for, made from the policies that it needs; and policies of others measured by it."""

from dataclasses import replace
from typing import Any

import pytest

from nodesmith.adapters.aws.policy import parse
from nodesmith.install.doctor.check import Outcome, examine
from nodesmith.install.doctor.checks.permissions import missing
from nodesmith.install.doctor.requests import Setting, Wish, allowed, wishes
from nodesmith.install.doctor.table import chosen
from nodesmith.install.doctor.trust import accepts, admits, trusted
from nodesmith.install.names import Names
from nodesmith.install.policies import controller_policies, controller_trust, queue_policy
from tests.unit.install.doctor.cases_aws import ROLE, WELL
from tests.unit.install.doctor.healthy import CONTROLLER_ROLE, NAMES, changed
from tests.unit.install.doctor.walkthrough import statement, walkthrough

SETTING = Setting(NAMES, "1.35", queue_arn=NAMES.queue_arn, node_roles=(NAMES.role_arn(NAMES.node_role),))
SHIFT = "arc-zonal-shift:GetManagedResource"


def actions_of(documents: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    for document in documents.values():
        for row in document["Statement"]:
            found.update(row["Action"] if isinstance(row["Action"], list) else [row["Action"]])
    return found


def test_every_action_that_install_grants_is_asked_for() -> None:
    granted = actions_of(dict(controller_policies(NAMES)))
    assert {each.action for each in wishes(SETTING)} == granted - {SHIFT}
    shifting = Setting(NAMES, "1.35", queue_arn=NAMES.queue_arn, follows_zonal_shift=True)
    assert {each.action for each in wishes(shifting)} == granted


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_what_install_grants_is_enough_in_every_partition(partition: str) -> None:
    names = Names("demo", "123456789012", "x-north-1", "https://issuer/id/A", partition)
    statements = [each for document in controller_policies(names).values() for each in parse(document)]
    setting = Setting(names, "1.35", queue_arn=names.queue_arn)
    assert [wish for wish in wishes(setting) if not allowed(wish, statements)] == []


def test_nothing_is_asked_of_a_queue_that_the_controller_is_not_told_of() -> None:
    assert not any(each.action.startswith("sqs:") for each in wishes(Setting(NAMES, "1.35")))


def test_the_queue_and_roles_that_are_used_are_asked_for_not_the_usual_ones() -> None:
    setting = Setting(NAMES, "1.35", queue_arn="arn:aws:sqs:x:1:mine", node_roles=("arn:aws:iam::1:role/a/mine",))
    asked = {(each.action, each.resource) for each in wishes(setting)}
    assert ("sqs:ReceiveMessage", "arn:aws:sqs:x:1:mine") in asked
    assert ("iam:PassRole", "arn:aws:iam::1:role/a/mine") in asked
    assert not any(NAMES.queue in resource for _, resource in asked)


def test_an_older_walk_through_lacks_what_the_controller_of_today_calls() -> None:
    lacking = {told.partition(" ")[0] for told in missing(wishes(SETTING), parse(walkthrough(NAMES)))}
    assert lacking == {
        "ec2:DescribeCapacityReservations",
        "ec2:DescribeInstanceStatus",
        "ec2:DescribePlacementGroups",
        "iam:ListInstanceProfiles",
        "sqs:GetQueueAttributes",
    }


def test_an_older_walk_through_allows_too_much() -> None:
    facts = changed(WELL, ROLE, replace(CONTROLLER_ROLE, documents={"all": walkthrough(NAMES)}))
    (finding,) = examine(facts, chosen(["ND123"]))
    assert finding.outcome is Outcome.WARNING
    told = "\n".join(finding.found)
    assert all(action in told for action in ("RunInstances", "CreateTags", "DeleteLaunchTemplate"))
    assert "TerminateInstances" not in told


def test_many_missing_actions_are_counted() -> None:
    told = missing(wishes(SETTING), ())
    assert len(told) == 13
    assert told[-1].startswith("and ")


def test_a_policy_that_cannot_be_evaluated_is_no_answer() -> None:
    bad = {"Statement": [statement("ec2:*", NoSuchOperator={"a": "b"})]}
    facts = changed(WELL, ROLE, replace(CONTROLLER_ROLE, documents={"bad": bad}))
    (finding,) = examine(facts, chosen(["ND121"]))
    assert finding.outcome is Outcome.UNSEEN
    assert "NoSuchOperator" in finding.found[0]


def test_a_wish_is_refused_by_an_explicit_deny() -> None:
    deny = {"Effect": "Deny", "Action": "ec2:Run*", "Resource": "*"}
    statements = parse({"Statement": [statement("*"), deny]})
    assert not allowed(Wish("ec2:RunInstances", "*"), statements)
    assert allowed(Wish("ec2:CreateFleet", "*"), statements)


def test_trust_is_for_one_principal_one_action_and_one_context() -> None:
    trust = controller_trust(NAMES)
    context = {f"{NAMES.issuer_path}:sub": "system:serviceaccount:kube-system:karpenter"}
    context[f"{NAMES.issuer_path}:aud"] = "sts.amazonaws.com"
    web = "sts:AssumeRoleWithWebIdentity"
    assert admits(trust, "Federated", NAMES.issuer_arn, web, context=context)
    assert not admits(trust, "Federated", NAMES.issuer_arn, "sts:AssumeRole", context=context)
    assert not admits(trust, "Federated", "arn:other", web, context=context)
    assert not admits(trust, "Federated", NAMES.issuer_arn, web, context={})
    assert trusted(trust, "Federated") == {NAMES.issuer_arn}


def test_a_queue_policy_is_for_its_queue_only() -> None:
    policy, secure = queue_policy(NAMES), {"aws:SecureTransport": "true"}
    said = ("Service", "events.amazonaws.com", "sqs:SendMessage")
    assert admits(policy, *said, resource=NAMES.queue_arn, context=secure)
    assert not admits(policy, *said, resource="arn:aws:sqs:x:1:other", context=secure)
    assert not admits(policy, *said, resource=NAMES.queue_arn, context={"aws:SecureTransport": "false"})
    everybody = {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}}
    assert admits(everybody, *said, resource=NAMES.queue_arn, context={})
    assert not admits({}, *said, context={})


def test_a_condition_is_tried_alone() -> None:
    assert accepts("StringLike", ["system:serviceaccount:*:karpenter"], "system:serviceaccount:a:karpenter")
    assert not accepts("StringEquals", ["system:serviceaccount:*:karpenter"], "system:serviceaccount:a:karpenter")
    assert not accepts("NoSuchOperator", ["x"], "x")
