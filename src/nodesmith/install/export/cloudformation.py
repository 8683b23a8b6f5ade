"""The CloudFormation template: the same roles, policies, queue, rules and access entry as `nodesmith install` makes.

The one thing to know: tags on subnets and security groups that exist already cannot be made by CloudFormation; the
outputs have the command for them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import yaml

from nodesmith.install import policies
from nodesmith.install.documents import Document
from nodesmith.install.identity import AGENT, AUDIENCE, pod_identity_trust
from nodesmith.install.names import DISCOVERY, Names
from nodesmith.install.queue import RETENTION_S
from nodesmith.install.roles import SPOT_SERVICE

HEAD: Final = "# Generated from src/nodesmith/install by tools/generate.py; do not edit.\n"
NAMES: Final = Names(
    cluster="${ClusterName}",
    account="${AWS::AccountId}",
    region="${AWS::Region}",
    issuer="https://${OidcIssuer}",
    partition="${AWS::Partition}",
    namespace="${Namespace}",
    service_account="${ServiceAccount}",
)
_YES_NO: Final = {"Type": "String", "AllowedValues": ["true", "false"]}


def template() -> str:
    """The template, as YAML."""
    stated = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "What nodesmith needs in AWS: roles, policies, the queue of interruptions and its rules",
        "Parameters": _parameters(),
        "Conditions": _conditions(),
        "Resources": {**_node(), **_controller(), **_interruption()},
        "Outputs": _outputs(),
    }
    return HEAD + yaml.dump(stated, Dumper=_Dumper, sort_keys=False, width=120)


def _parameters() -> Mapping[str, Any]:
    def text(about: str, **more: str) -> Mapping[str, Any]:
        return {"Type": "String", "Description": about, **more}

    def switch(about: str, default: str) -> Mapping[str, Any]:
        return {**_YES_NO, "Default": default, "Description": about}

    return {
        "ClusterName": text("The EKS cluster's name"),
        "OidcIssuer": text("The cluster's OIDC issuer without https://"),
        "Namespace": text("The controller's namespace", Default="kube-system"),
        "ServiceAccount": text("The controller's service account", Default="karpenter"),
        "Identity": {
            **text("How the controller gets its role", Default="irsa"),
            "AllowedValues": ["irsa", "pod-identity"],
        },
        "CreateOidcProvider": switch("Whether IAM does not know the issuer yet", "false"),
        "CreateSpotRole": switch("Whether the account has no service-linked role for EC2 Spot yet", "false"),
        "CreateAccessEntry": switch("Whether nodes are let in by an EKS access entry", "true"),
        "CreatePodIdentityAgent": switch("Whether the cluster has no pod identity agent yet", "false"),
    }


def _conditions() -> Mapping[str, Any]:
    def is_true(parameter: str) -> Mapping[str, Any]:
        return {"Fn::Equals": [{"Ref": parameter}, "true"]}

    by_issuer = {"Fn::Equals": [{"Ref": "Identity"}, "irsa"]}
    by_pod = {"Fn::Equals": [{"Ref": "Identity"}, "pod-identity"]}
    return {
        "ByIssuer": by_issuer,
        "ByPodIdentity": by_pod,
        "MakesOidcProvider": {"Fn::And": [by_issuer, is_true("CreateOidcProvider")]},
        "MakesSpotRole": is_true("CreateSpotRole"),
        "MakesAccessEntry": is_true("CreateAccessEntry"),
        "MakesAgent": {"Fn::And": [by_pod, is_true("CreatePodIdentityAgent")]},
    }


def _node() -> Mapping[str, Any]:
    managed = [_sub(f"arn:{NAMES.partition}:iam::aws:policy/{each}") for each in policies.NODE_POLICIES]
    role = {
        "RoleName": _sub(NAMES.node_role),
        "AssumeRolePolicyDocument": policies.node_trust(NAMES),
        "ManagedPolicyArns": managed,
    }
    entry = {"ClusterName": {"Ref": "ClusterName"}, "PrincipalArn": _arn("NodeRole"), "Type": "EC2_LINUX"}
    return {
        "NodeRole": _resource("IAM::Role", role),
        "NodeAccess": _resource("EKS::AccessEntry", entry, "MakesAccessEntry"),
    }


def _controller() -> Mapping[str, Any]:
    by_issuer, by_pod = _sub_json(policies.controller_trust(NAMES)), _sub_json(pod_identity_trust(NAMES))
    own = {_logical(name): (name, stated) for name, stated in policies.controller_policies(NAMES).items()}
    role = {
        "RoleName": _sub(NAMES.controller_role),
        "AssumeRolePolicyDocument": {"Fn::If": ["ByIssuer", by_issuer, by_pod]},
        "ManagedPolicyArns": [{"Ref": logical} for logical in own],
    }
    association = {
        "ClusterName": {"Ref": "ClusterName"},
        "Namespace": {"Ref": "Namespace"},
        "ServiceAccount": {"Ref": "ServiceAccount"},
        "RoleArn": _arn("ControllerRole"),
    }
    made = {
        logical: _resource("IAM::ManagedPolicy", {"ManagedPolicyName": _sub(name), "PolicyDocument": _sub_json(stated)})
        for logical, (name, stated) in own.items()
    }
    provider = {"Url": _sub(NAMES.issuer), "ClientIdList": [AUDIENCE]}
    agent = {"ClusterName": {"Ref": "ClusterName"}, "AddonName": AGENT}
    return {
        "OidcProvider": _resource("IAM::OIDCProvider", provider, "MakesOidcProvider"),
        **made,
        "ControllerRole": _resource("IAM::Role", role),
        "PodIdentityAgent": _resource("EKS::Addon", agent, "MakesAgent"),
        "PodIdentity": _resource("EKS::PodIdentityAssociation", association, "ByPodIdentity"),
        "SpotRole": _resource("IAM::ServiceLinkedRole", {"AWSServiceName": SPOT_SERVICE}, "MakesSpotRole"),
    }


def _interruption() -> Mapping[str, Any]:
    queue = {
        "QueueName": _sub(NAMES.queue),
        "MessageRetentionPeriod": int(RETENTION_S),
        "SqsManagedSseEnabled": True,
    }
    sends = {"Queues": [{"Ref": "Queue"}], "PolicyDocument": _sub_json(policies.queue_policy(NAMES))}
    made = {"Queue": _resource("SQS::Queue", queue), "QueuePolicy": _resource("SQS::QueuePolicy", sends)}
    for part, (source, detail_type) in policies.RULES.items():
        rule = {
            "Name": _sub(NAMES.rule(part)),
            "EventPattern": {"source": [source], "detail-type": [detail_type]},
            "Targets": [{"Id": "interruption-queue", "Arn": _arn("Queue")}],
        }
        made[f"{part}Rule"] = _resource("Events::Rule", rule)
    return made


def _outputs() -> Mapping[str, Any]:
    command = "aws ec2 create-tags --resources SUBNET... CLUSTER_SECURITY_GROUP --tags"
    outputs = {
        "NodeRoleName": ("For spec.role of an EC2NodeClass", {"Ref": "NodeRole"}),
        "ControllerRoleArn": ("For the annotation of the service account", _arn("ControllerRole")),
        "QueueName": ("For settings.interruptionQueue of the chart", {"Fn::GetAtt": ["Queue", "QueueName"]}),
        "TagCommand": (
            "What CloudFormation cannot do: tag what exists",
            _sub(f"{command} Key={DISCOVERY},Value=${{ClusterName}}"),
        ),
    }
    return {name: {"Description": about, "Value": value} for name, (about, value) in outputs.items()}


def _resource(kind: str, properties: Mapping[str, Any], condition: str = "") -> dict[str, Any]:
    under = {"Condition": condition} if condition else {}
    return {"Type": f"AWS::{kind}", **under, "Properties": properties}


def _sub(text: str) -> Mapping[str, str]:
    return {"Fn::Sub": text}


def _sub_json(stated: Document) -> Mapping[str, str]:
    """As text: keys of conditions hold the cluster's name, and CloudFormation replaces nothing in keys."""
    return _sub(json.dumps(stated, indent=1))


def _arn(logical: str) -> Mapping[str, Any]:
    return {"Fn::GetAtt": [logical, "Arn"]}


def _logical(policy: str) -> str:
    return policy.partition("-")[0].removeprefix("KarpenterController")


class _Dumper(yaml.SafeDumper):
    """Text of several lines as such, nothing by reference."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
