"""What breaks each check of the AWS side: the facts with one thing wrong, and words of what has to be said of it."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from nodesmith.install import policies
from nodesmith.install.chart import ROLE_ANNOTATION
from nodesmith.install.doctor.awsfacts import (
    AccessEntry,
    Permission,
    PodIdentity,
    Profile,
    Provider,
    Rehearsal,
    Role,
    Route,
)
from nodesmith.install.doctor.clusterfacts import ServiceAccount
from nodesmith.install.doctor.facts import Facts
from nodesmith.install.doctor.seen import Unseen
from nodesmith.install.identity import pod_identity_trust
from tests.unit.install.doctor.healthy import (
    ACCOUNT,
    ANYWHERE,
    CONTROLLER_ROLE,
    EKS,
    GROUP,
    NAMES,
    NODE_ROLE,
    OTHER_ISSUER,
    QUEUE,
    RULES,
    SUBNETS,
    changed,
    healthy,
    node_class,
)

WELL = healthy()
Case = tuple[Facts, str]
ROLE = "identity.controller_role"
ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def eks(**fields: Any) -> Facts:
    return changed(WELL, "account.cluster", replace(EKS, **fields))


def caller(**fields: Any) -> Facts:
    assert not isinstance(WELL.account.caller, Unseen)
    return changed(WELL, "account.caller", replace(WELL.account.caller, **fields))


def annotated(annotations: dict[str, str]) -> Facts:
    return changed(WELL, "cluster.service_account", ServiceAccount("kube-system", "karpenter", annotations))


def pod_identity(arn: str = CONTROLLER_ROLE.arn, facts: Facts = WELL) -> Facts:
    return changed(facts, "identity.pod_identities", (PodIdentity("kube-system", "karpenter", arn),))


def trusting(old: str, new: str) -> Facts:
    """The controller's trust policy with a text replaced."""
    trust = json.loads(json.dumps(CONTROLLER_ROLE.trust).replace(old, new))
    return changed(WELL, ROLE, replace(CONTROLLER_ROLE, trust=trust))


def without_action(action: str) -> Facts:
    """The controller's policies, one action taken out of every statement."""
    documents = {}
    for name, document in CONTROLLER_ROLE.documents.items():
        rows = []
        for row in document["Statement"]:
            actions = row["Action"] if isinstance(row["Action"], list) else [row["Action"]]
            left = [each for each in actions if each != action]
            rows += [{**row, "Action": left}] if left else []
        documents[name] = {**document, "Statement": rows}
    return changed(WELL, ROLE, replace(CONTROLLER_ROLE, documents=documents))


def rehearsed(action: str, code: str) -> Facts:
    answers = [
        Rehearsal(action, code, "You are not authorized") if each.action == action else each
        for each in (WELL.identity.rehearsals if not isinstance(WELL.identity.rehearsals, Unseen) else ())
    ]
    return changed(WELL, "identity.rehearsals", tuple(answers))


def node_role(**fields: Any) -> Facts:
    return changed(WELL, "identity.node_roles", {NAMES.node_role: replace(NODE_ROLE, **fields)})


def without_policy(name: str) -> Facts:
    return node_role(attached=tuple(arn for arn in NODE_ROLE.attached if not arn.endswith(name)))


def config_map(text: str | None) -> Facts:
    facts = changed(eks(authentication_mode="CONFIG_MAP"), "identity.access_entries", ())
    return changed(facts, "cluster.aws_auth", text)


def mapped(arn: str = NODE_ROLE.arn, user: str = "system:node:{{EC2PrivateDNSName}}", groups: str = "") -> str:
    listed = groups or "[system:bootstrappers, system:nodes]"
    return f"- rolearn: {arn}\n  username: '{user}'\n  groups: {listed}\n"


def subnets(**fields: Any) -> Facts:
    return changed(WELL, "network.subnets", tuple(replace(each, **fields) for each in SUBNETS))


def one_subnet(**fields: Any) -> Facts:
    return changed(WELL, "network.subnets", (replace(SUBNETS[0], **fields), *SUBNETS[1:]))


def group(**fields: Any) -> Facts:
    return changed(WELL, "network.groups", (replace(GROUP, **fields),))


def other_group() -> Facts:
    """Nodes have a group of their own, which knows nothing of the cluster's."""
    other = replace(GROUP, id="sg-nodes", inbound=(), tags={})
    facts = changed(WELL, "network.groups", (GROUP, other))
    return changed(facts, "network.found_groups", {"default": ("sg-nodes",)})


def queue(**fields: Any) -> Facts:
    return changed(WELL, "events.queue", replace(QUEUE, **fields))


def rules(**fields: Any) -> Facts:
    return changed(WELL, "events.rules", tuple(replace(each, **fields) for each in RULES))


def by_agent(trust: dict[str, Any], less: str) -> Facts:
    """The controller uses pod identity, and its role has this trust policy, less an action."""
    (row,) = trust["Statement"]
    left = {**row, "Action": [each for each in row["Action"] if each != less]}
    return changed(pod_identity(), ROLE, replace(CONTROLLER_ROLE, trust={**trust, "Statement": [left]}))


SLIPPED = {"karpenter.sh/discovry": "demo"}
FAILING: dict[str, tuple[Case, ...]] = {
    "ND001": ((changed(WELL, "account.caller", Unseen("ExpiredToken: it has expired")), "ExpiredToken"),),
    "ND002": ((caller(clock_ahead=timedelta(minutes=-7)), "420 s ahead"),),
    "ND003": ((changed(changed(WELL, "account.cluster", None), "account.clusters", ("demo1",)), "it has demo1"),),
    "ND004": ((eks(status="CREATING"), "CREATING"), (eks(status="FAILED"), "FAILED")),
    "ND005": ((eks(version="1.25"), "1.25"),),
    "ND006": (
        (changed(WELL, "cluster.reached", Unseen("connection refused")), "connection refused"),
        (changed(eks(is_public=False), "cluster.reached", Unseen("no answer in time")), "within the VPC only"),
    ),
    "ND008": ((eks(is_private=False, is_public=False), "neither"),),
    "ND101": ((changed(WELL, "cluster.service_account", None), "kube-system/karpenter"),),
    "ND102": (
        (annotated({}), "no annotation"),
        (annotated({"eks.amazonaws.com/role-arm": CONTROLLER_ROLE.arn}), "eks.amazonaws.com/role-arm"),
    ),
    "ND104": (
        (annotated({ROLE_ANNOTATION: "${KarpenterControllerRole}"}), "not a role's ARN"),
        (annotated({ROLE_ANNOTATION: "arn:aws:iam::999999999999:role/x"}), "999999999999"),
    ),
    "ND105": ((changed(WELL, ROLE, None), CONTROLLER_ROLE.arn),),
    "ND106": (
        (changed(WELL, "identity.provider", None), "does not know the issuer"),
        (changed(changed(WELL, "identity.provider", None), "identity.providers", (OTHER_ISSUER,)), "BBBB"),
    ),
    "ND107": ((changed(WELL, "identity.provider", Provider(NAMES.issuer_arn, ("other",))), "other"),),
    "ND108": (
        (trusting("/id/AAAA", "/id/BBBB"), "BBBB"),
        (pod_identity(), "pods.eks.amazonaws.com"),
    ),
    "ND109": ((trusting("kube-system:karpenter", "karpenter:karpenter"), "karpenter:karpenter"),),
    "ND110": ((trusting('aud": "sts.amazonaws.com', 'aud": "sts.amazon.com'), "sts.amazon.com"),),
    "ND111": (
        (trusting("AssumeRoleWithWebIdentity", "AssumeRole"), "as a whole"),
        (by_agent(pod_identity_trust(NAMES), "sts:TagSession"), "as a whole"),
        (by_agent(pod_identity_trust(replace(NAMES, cluster="other")), ""), "as a whole"),
    ),
    "ND112": ((pod_identity(), "eks-pod-identity-agent"),),
    "ND113": ((changed(WELL, "identity.assumed", Unseen("AccessDenied: not authorized")), "AccessDenied"),),
    "ND121": tuple(
        (without_action(action), action)
        for action in (
            "iam:ListInstanceProfiles",
            "ec2:DescribeCapacityReservations",
            "sqs:GetQueueAttributes",
            "ec2:RunInstances",
            "ec2:CreateTags",
            "iam:PassRole",
        )
    ),
    "ND122": (
        (
            changed(
                WELL,
                ROLE,
                replace(
                    CONTROLLER_ROLE,
                    boundary={"Statement": [{"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}]},
                ),
            ),
            "iam:PassRole",
        ),
    ),
    "ND124": ((rehearsed("CreateLaunchTemplate", "UnauthorizedOperation"), "not authorized"),),
    "ND125": ((rehearsed("RunInstances", "UnauthorizedOperation"), "not authorized"),),
    "ND126": ((rehearsed("CreateFleet", "UnauthorizedOperation"), "not authorized"),),
    "ND201": ((changed(WELL, "identity.node_roles", {NAMES.node_role: None}), NAMES.node_role),),
    "ND202": ((node_role(trust=CONTROLLER_ROLE.trust), "does not trust EC2"),),
    "ND203": ((without_policy("AmazonEKSWorkerNodePolicy"), "AmazonEKSWorkerNodePolicy"),),
    "ND204": ((without_policy("AmazonEC2ContainerRegistryReadOnly"), "PullOnly"),),
    "ND207": ((changed(WELL, "identity.profiles", {"demo_1": None}), "demo_1"),),
    "ND208": (
        (changed(WELL, "identity.profiles", {"demo_1": Profile("demo_1", ("other",))}), "other"),
        (changed(WELL, "identity.profiles", {"demo_1": Profile("demo_1", ())}), "has no role"),
    ),
    "ND211": (
        (changed(WELL, "identity.access_entries", ()), "API_AND_CONFIG_MAP"),
        (config_map(mapped(f"{NODE_ROLE.arn}s")), "what is most like it"),
        (config_map(None), "CONFIG_MAP"),
    ),
    "ND212": (
        (config_map("- rolearn: [\n"), "not YAML"),
        (config_map("rolearn: x"), "not a list"),
        (config_map("- rolearns: x\n  username: y\n  groups: []\n"), "has no rolearn; it has rolearns"),
        (config_map(mapped(NODE_ROLE.arn.replace("role/", "role/eks/"))), "has a path"),
        (config_map(mapped("arn:${AWS_PARTITION}:iam::1:role/x")), "placeholder"),
        (config_map("- just text\n"), "not a mapping"),
    ),
    "ND213": (
        (config_map(mapped(groups="[system:nodes]")), "system:bootstrappers"),
        (config_map(mapped(user="karpenter")), "karpenter"),
    ),
    "ND214": ((changed(WELL, "identity.access_entries", (AccessEntry(NODE_ROLE.arn, "STANDARD"),)), "STANDARD"),),
    "ND301": ((changed(WELL, "network.found_subnets", {"default": ()}), "karpenter.sh/discovery=demo"),),
    "ND302": ((subnets(free_addresses=0), "0 free"),),
    "ND304": (
        (subnets(routes=(Route("10.0.0.0/16", "local"),)), "no route out"),
        (subnets(routes=(Route("0.0.0.0/0", "nat-1", is_active=False),)), "black hole"),
    ),
    "ND305": ((subnets(routes=(Route("0.0.0.0/0", "igw-1"),)), "no public address"),),
    "ND306": ((changed(WELL, "network.found_groups", {"default": ()}), "karpenter.sh/discovery=demo"),),
    "ND307": (
        (other_group(), "sg-nodes"),
        (group(inbound=()), "10250"),
        (group(inbound=(Permission("tcp", 443, 443, ("sg-cluster",)),)), "10250"),
        (group(inbound=(Permission("tcp", 10250, 10250, ("10.0.1.0/24", "10.9.0.0/16")),)), "10250"),
    ),
    "ND308": ((other_group(), "sg-nodes"),),
    "ND309": ((group(outbound=()), "port 443"),),
    "ND311": ((changed(WELL, "network.found_subnets", {"default": ("subnet-a", "subnet-z")}), "subnet-z"),),
    "ND321": (
        (one_subnet(tags=SLIPPED), "did you mean `karpenter.sh/discovery`?"),
        (one_subnet(tags={"karpenter.sh/discovery": "demmo"}), "did you mean `demo`?"),
    ),
    "ND322": ((group(tags=SLIPPED), "did you mean `karpenter.sh/discovery`?"),),
    "ND324": ((subnets(tags={}), "none of the cluster's subnets"),),
    "ND402": ((changed(WELL, "events.queue", None), "there is no queue"),),
    "ND403": (
        (queue(policy=None), "has no policy"),
        (queue(policy={"Statement": policies.queue_policy(NAMES)["Statement"][1:]}), "does not let"),
    ),
    "ND404": ((changed(WELL, "events.rules", ()), "EC2 Spot Instance Interruption Warning"),),
    "ND405": ((rules(is_enabled=False), "is disabled"),),
    "ND406": ((rules(targets=()), "has no target"),),
    "ND407": ((rules(targets=(f"arn:aws:sqs:x:{ACCOUNT}:old",)), "is sent to old"),),
    "ND410": ((queue(key="alias/aws/sqs"), "every event is dropped"),),
}
WARNING: dict[str, tuple[Case, ...]] = {
    "ND002": ((caller(clock_ahead=timedelta(seconds=90)), "90 s behind"),),
    "ND004": ((eks(status="UPDATING"), "updated"),),
    "ND005": ((eks(version="1.99"), "1.99"),),
    "ND007": ((changed(WELL, "cluster.server", "https://127.0.0.1:6443"), "127.0.0.1"),),
    "ND008": ((eks(is_private=False, public_cidrs=("203.0.113.0/24",)), "203.0.113.0/24"),),
    "ND103": ((pod_identity(f"arn:aws:iam::{ACCOUNT}:role/other"), "role/other"),),
    "ND109": ((trusting("oidc.eks.ap-northeast-2.amazonaws.com/id/AAAA:sub", "x:other"), "every service account"),),
    "ND123": ((changed(WELL, ROLE, replace(CONTROLLER_ROLE, documents={"all": ALLOW_ALL})), "ec2:RunInstances"),),
    "ND205": ((without_policy("AmazonEKS_CNI_Policy"), "AmazonEKS_CNI_Policy"),),
    "ND206": ((without_policy("AmazonSSMManagedInstanceCore"), "AmazonSSMManagedInstanceCore"),),
    "ND302": ((one_subnet(free_addresses=3), "3 free"),),
    "ND303": ((changed(WELL, "network.found_subnets", {"default": ("subnet-a",)}), "ap-northeast-2a"),),
    "ND310": (
        (
            changed(
                changed(WELL, "network.groups", (GROUP, replace(GROUP, id="sg-2"))),
                "network.found_groups",
                {"default": ("sg-cluster", "sg-2")},
            ),
            "sg-cluster, sg-2",
        ),
    ),
    "ND323": (
        (one_subnet(tags={"kubernetes.io/role/interna-elb": "1"}), "did you mean `kubernetes.io/role/internal-elb`?"),
    ),
    "ND324": ((one_subnet(tags={}), "subnet-a has no tag"),),
    "ND404": ((changed(WELL, "events.rules", tuple(r for r in RULES if "Rebalance" not in r.name)), "Rebalance"),),
    "ND408": (
        (queue(retention=timedelta(days=4)), "345600 s"),
        (queue(retention=timedelta(seconds=60)), "60 s"),
    ),
    "ND409": ((queue(waiting=800), "800 messages"),),
    "ND410": ((queue(key="arn:aws:kms:x:1:key/k"), "key/k"),),
}
PASSING: dict[str, Facts] = {
    "ND112": changed(pod_identity(), "cluster.has_pod_identity_agent", value=True),
    "ND122": changed(WELL, ROLE, replace(CONTROLLER_ROLE, boundary=ALLOW_ALL)),
    "ND213": config_map(mapped()),
    "ND108": by_agent(pod_identity_trust(NAMES), ""),
    "ND111": by_agent(pod_identity_trust(NAMES), ""),
    "ND211": config_map(mapped()),
    "ND212": config_map(mapped()),
    "ND304": changed(
        subnets(routes=(Route("10.0.0.0/16", "local"),)),
        "network.endpoints",
        ("ec2", "ecr.api", "ecr.dkr", "s3", "sts"),
    ),
    "ND307": group(inbound=(Permission("tcp", 1025, 65535, ("10.0.0.0/16",)),)),
    "ND308": group(inbound=(Permission("tcp", 443, 443, ("pl-1",)),)),
    "ND305": changed(
        subnets(routes=(Route("0.0.0.0/0", "igw-1"),)),
        "cluster.node_classes",
        (node_class(associatePublicIPAddress=True),),
    ),
}
"""Facts that pass where `healthy` does not apply, or passes in another way."""

__all__ = ["ANYWHERE", "FAILING", "PASSING", "WARNING", "WELL", "Case", "Role"]
