"""The Terraform module: the same roles, policies, queue, rules, tags and access entry as `nodesmith install` makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from nodesmith.install import policies
from nodesmith.install.documents import Document
from nodesmith.install.export.hcl import Block, Call, Expression, document
from nodesmith.install.identity import AGENT, AUDIENCE, pod_identity_trust
from nodesmith.install.names import DISCOVERY, Names
from nodesmith.install.queue import RETENTION_S
from nodesmith.install.roles import SPOT_SERVICE

HEAD: Final = "# Generated from src/nodesmith/install by tools/generate.py; do not edit.\n"
NAMES: Final = Names(
    cluster="${var.cluster_name}",
    account="${local.account}",
    region="${local.region}",
    issuer="https://${local.issuer}",
    partition="${local.partition}",
    namespace="${var.namespace}",
    service_account="${var.service_account}",
)
_BY_ISSUER: Final = 'var.identity == "irsa"'
_BY_POD: Final = 'var.identity == "pod-identity"'


def module() -> dict[str, str]:
    """The files of the module, by name."""
    files = {
        "versions.tf": [_versions()],
        "variables.tf": _variables(),
        "main.tf": _looked_up(),
        "node.tf": _node(),
        "controller.tf": _controller(),
        "interruption.tf": _interruption(),
        "discovery.tf": _discovery(),
        "outputs.tf": _outputs(),
    }
    return {name: document(HEAD, blocks) for name, blocks in files.items()}


def _versions() -> Block:
    provider = Block("required_providers", (), {"aws": {"source": "hashicorp/aws", "version": ">= 5.40"}})
    return Block("terraform", (), {"required_version": ">= 1.3"}, [provider])


def _variables() -> list[Block]:
    def variable(name: str, kind: str, about: str, **more: Any) -> Block:
        return Block("variable", (name,), {"description": about, "type": Expression(kind), **more})

    identity = Block(
        "variable",
        ("identity",),
        {
            "description": "How the controller gets its role: irsa or pod-identity.",
            "type": Expression("string"),
            "default": "irsa",
        },
        [
            Block(
                "validation",
                (),
                {
                    "condition": Expression('contains(["irsa", "pod-identity"], var.identity)'),
                    "error_message": "It is irsa or pod-identity.",
                },
            )
        ],
    )
    return [
        variable("cluster_name", "string", "The EKS cluster's name."),
        variable("namespace", "string", "The controller's namespace.", default="kube-system"),
        variable("service_account", "string", "The controller's service account.", default="karpenter"),
        identity,
        variable(
            "create_oidc_provider",
            "bool",
            "Whether IAM does not know the cluster's OIDC issuer yet.",
            default=False,
        ),
        variable(
            "create_spot_role",
            "bool",
            "Whether the account has no service-linked role for EC2 Spot yet.",
            default=False,
        ),
        variable(
            "create_access_entry",
            "bool",
            "Whether nodes are let in by an EKS access entry; without it, map aws_auth_entry in aws-auth.",
            default=True,
        ),
        variable(
            "create_pod_identity_agent",
            "bool",
            "Whether the cluster has no pod identity agent yet; only with identity = pod-identity.",
            default=False,
        ),
        variable("subnet_ids", "list(string)", "The subnets of nodes, to be found by tag.", default=[]),
        variable("tags", "map(string)", "Tags on everything that can have some.", default={}),
    ]


def _looked_up() -> list[Block]:
    oidc = "data.aws_eks_cluster.this.identity[0].oidc[0].issuer"
    local = {
        "account": Expression("data.aws_caller_identity.current.account_id"),
        "partition": Expression("data.aws_partition.current.partition"),
        "region": Expression('split(":", data.aws_eks_cluster.this.arn)[3]'),
        "issuer": Expression(f'replace({oidc}, "https://", "")'),
    }
    return [
        Block("data", ("aws_caller_identity", "current")),
        Block("data", ("aws_partition", "current")),
        Block("data", ("aws_eks_cluster", "this"), {"name": Expression("var.cluster_name")}),
        Block("locals", (), local),
    ]


def _node() -> list[Block]:
    attachment = {
        "for_each": Call("toset", list(policies.NODE_POLICIES)),
        "role": Expression("aws_iam_role.node.name"),
        "policy_arn": f"arn:{NAMES.partition}:iam::aws:policy/${{each.value}}",
    }
    entry = {
        "count": Expression("var.create_access_entry ? 1 : 0"),
        "cluster_name": Expression("var.cluster_name"),
        "principal_arn": Expression("aws_iam_role.node.arn"),
        "type": "EC2_LINUX",
        "tags": Expression("var.tags"),
    }
    return [
        _resource("iam_role", "node", _role(NAMES.node_role, _json(policies.node_trust(NAMES)))),
        _resource("iam_role_policy_attachment", "node", attachment),
        _resource("eks_access_entry", "node", entry),
    ]


def _controller() -> list[Block]:
    by_issuer, by_pod = _json(policies.controller_trust(NAMES)), _json(pod_identity_trust(NAMES))
    own = policies.controller_policies(NAMES)
    provider = {
        "count": Expression(f"{_BY_ISSUER} && var.create_oidc_provider ? 1 : 0"),
        "url": NAMES.issuer,
        "client_id_list": [AUDIENCE],
        "tags": Expression("var.tags"),
    }
    agent = {
        "count": Expression(f"{_BY_POD} && var.create_pod_identity_agent ? 1 : 0"),
        "cluster_name": Expression("var.cluster_name"),
        "addon_name": AGENT,
        "tags": Expression("var.tags"),
    }
    association = {
        "count": Expression(f"{_BY_POD} ? 1 : 0"),
        "cluster_name": Expression("var.cluster_name"),
        "namespace": Expression("var.namespace"),
        "service_account": Expression("var.service_account"),
        "role_arn": Expression("aws_iam_role.controller.arn"),
        "tags": Expression("var.tags"),
    }
    spot = {"count": Expression("var.create_spot_role ? 1 : 0"), "aws_service_name": SPOT_SERVICE}
    return [
        _resource("iam_openid_connect_provider", "cluster", provider),
        Block("locals", (), {"trust": {"irsa": by_issuer, "pod-identity": by_pod}}),
        _resource("iam_role", "controller", _role(NAMES.controller_role, Expression("local.trust[var.identity]"))),
        *(block for name, stated in own.items() for block in _policy(name, stated)),
        _resource("eks_addon", "pod_identity_agent", agent),
        _resource("eks_pod_identity_association", "controller", association),
        _resource("iam_service_linked_role", "spot", spot),
    ]


def _policy(name: str, stated: Document) -> list[Block]:
    label = _label(name)
    policy = {"name": name, "policy": _json(stated), "tags": Expression("var.tags")}
    attachment = {
        "role": Expression("aws_iam_role.controller.name"),
        "policy_arn": Expression(f"aws_iam_policy.{label}.arn"),
    }
    return [_resource("iam_policy", label, policy), _resource("iam_role_policy_attachment", label, attachment)]


def _interruption() -> list[Block]:
    queue = {
        "name": NAMES.queue,
        "message_retention_seconds": int(RETENTION_S),
        "sqs_managed_sse_enabled": True,
        "tags": Expression("var.tags"),
    }
    sends = {
        "queue_url": Expression("aws_sqs_queue.interruption.url"),
        "policy": _json(policies.queue_policy(NAMES)),
    }
    blocks = [
        _resource("sqs_queue", "interruption", queue),
        _resource("sqs_queue_policy", "interruption", sends),
    ]
    for part, (source, detail_type) in policies.RULES.items():
        label = _label(part)
        pattern = _json({"source": [source], "detail-type": [detail_type]})
        rule = {"name": NAMES.rule(part), "event_pattern": pattern, "tags": Expression("var.tags")}
        target = {
            "rule": Expression(f"aws_cloudwatch_event_rule.{label}.name"),
            "arn": Expression("aws_sqs_queue.interruption.arn"),
        }
        blocks += [
            _resource("cloudwatch_event_rule", label, rule),
            _resource("cloudwatch_event_target", label, target),
        ]
    return blocks


def _discovery() -> list[Block]:
    group = "data.aws_eks_cluster.this.vpc_config[0].cluster_security_group_id"
    tag = {"key": DISCOVERY, "value": Expression("var.cluster_name")}
    subnets = {"for_each": Expression("toset(var.subnet_ids)"), "resource_id": Expression("each.value"), **tag}
    return [
        _resource("ec2_tag", "subnet", subnets),
        _resource("ec2_tag", "cluster_security_group", {"resource_id": Expression(group), **tag}),
    ]


def _outputs() -> list[Block]:
    def output(name: str, about: str, value: Any) -> Block:
        return Block("output", (name,), {"description": about, "value": value})

    role = Expression(f"{_BY_ISSUER} ? aws_iam_role.controller.arn : null")
    values = {
        "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": role}},
        "settings": {
            "clusterName": Expression("var.cluster_name"),
            "interruptionQueue": Expression("aws_sqs_queue.interruption.name"),
        },
    }
    entry = {
        "rolearn": Expression("aws_iam_role.node.arn"),
        "username": "system:node:{{EC2PrivateDNSName}}",
        "groups": ["system:bootstrappers", "system:nodes"],
    }
    return [
        output("node_role_name", "For spec.role of an EC2NodeClass.", Expression("aws_iam_role.node.name")),
        output("controller_role_arn", "The controller's role.", Expression("aws_iam_role.controller.arn")),
        output("queue_name", "The queue of interruptions.", Expression("aws_sqs_queue.interruption.name")),
        output("helm_values", "A values file for the chart.", Call("yamlencode", values)),
        output(
            "aws_auth_entry", "What mapRoles of aws-auth needs without an access entry.", Call("yamlencode", [entry])
        ),
    ]


def _role(name: str, trust: Any) -> Mapping[str, Any]:
    return {"name": name, "assume_role_policy": trust, "tags": Expression("var.tags")}


def _resource(kind: str, label: str, attributes: Mapping[str, Any]) -> Block:
    return Block("resource", (f"aws_{kind}", label), attributes)


def _json(stated: Document) -> Call:
    return Call("jsonencode", stated)


def _label(name: str) -> str:
    """`KarpenterControllerNodeLifecyclePolicy-${...}` is `node_lifecycle`."""
    bare = name.partition("-")[0].removeprefix("KarpenterController").removesuffix("Policy")
    return "".join(
        f"_{letter.lower()}" if letter.isupper() and number and not bare[number - 1].isupper() else letter.lower()
        for number, letter in enumerate(bare)
    )
