"""What is in deploy/ is read by the tools it is for, and says what the installer does."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodesmith.api.lint.files import lint
from nodesmith.api.lint.hcl import parse
from nodesmith.cli.lint import controller_needs
from nodesmith.install import policies
from nodesmith.install.export import cloudformation, terraform
from nodesmith.install.export.hcl import Block, Call, document
from nodesmith.install.identity import pod_identity_trust
from nodesmith.install.names import Names

DEPLOY = Path(__file__).parents[3] / "deploy"
NAMES = Names("shop", "123456789012", "ap-northeast-2", "https://oidc.example/id/A1")
VALUES = {
    "var.cluster_name": "shop",
    "var.namespace": "kube-system",
    "var.service_account": "karpenter",
    "local.account": "123456789012",
    "local.region": "ap-northeast-2",
    "local.partition": "aws",
    "local.issuer": "oidc.example/id/A1",
    "ClusterName": "shop",
    "Namespace": "kube-system",
    "ServiceAccount": "karpenter",
    "OidcIssuer": "oidc.example/id/A1",
    "AWS::AccountId": "123456789012",
    "AWS::Region": "ap-northeast-2",
    "AWS::Partition": "aws",
}


def documents(names: Names) -> dict[str, Any]:
    """Every document of a set-up."""
    own = {name.partition("-")[0]: stated for name, stated in policies.controller_policies(names).items()}
    trusts = {"issuer": policies.controller_trust(names), "pod": pod_identity_trust(names)}
    return {**own, **trusts, "node": policies.node_trust(names), "queue": policies.queue_policy(names)}


def filled(text: str) -> str:
    return re.sub(r"\$\{([^}]+)\}", lambda found: VALUES[found[1]], text)


def blocks_of(kind: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for file in sorted((DEPLOY / "terraform").glob("*.tf")):
        for block in parse(file.read_text())[1]:
            if block.type == kind:
                found.setdefault(block.labels[0], []).append(block.labels[-1])
    return found


def test_a_parser_of_hcl_reads_the_module_and_finds_what_the_installer_makes() -> None:
    made = blocks_of("resource")
    assert len(made["aws_iam_role"]) == 2
    assert len(made["aws_iam_policy"]) == len(policies.controller_policies(NAMES))
    assert len(made["aws_cloudwatch_event_rule"]) == len(made["aws_cloudwatch_event_target"]) == len(policies.RULES)
    assert set(made) >= {
        "aws_ec2_tag",
        "aws_eks_access_entry",
        "aws_eks_addon",
        "aws_eks_pod_identity_association",
        "aws_iam_openid_connect_provider",
        "aws_iam_role_policy_attachment",
        "aws_iam_service_linked_role",
        "aws_sqs_queue",
        "aws_sqs_queue_policy",
    }
    used = set(re.findall(r"var\.(\w+)", "".join(file.read_text() for file in (DEPLOY / "terraform").glob("*.tf"))))
    assert used == set(blocks_of("variable"))


def test_our_own_linter_finds_nothing_in_it() -> None:
    assert lint([DEPLOY / "terraform"], controller_needs()).faults == ()


def test_terraform_writes_the_documents_as_the_installer_does(tmp_path: Path) -> None:
    program = shutil.which("terraform")
    known = {name.partition(".")[2]: value for name, value in VALUES.items() if name.startswith("local.")}
    variables = [Block("variable", (name,), {"default": VALUES[f"var.{name}"]}) for name in _VARIABLES]
    stated = {name: Call("jsonencode", each) for name, each in documents(terraform.NAMES).items()}
    text = document("", [*variables, Block("locals", (), {**known, "documents": stated})])
    (tmp_path / "main.tf").write_text(text)
    parsed = parse(text)[1]
    assert [block.type for block in parsed] == ["variable"] * len(_VARIABLES) + ["locals"]
    if program is None:
        return
    for folder in (tmp_path, DEPLOY / "terraform"):
        command = [program, f"-chdir={folder}", "fmt", "-check", "-diff"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    command = [program, f"-chdir={tmp_path}", "console"]
    asked = "jsonencode(local.documents)"
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(json.loads(done.stdout))
    assert {name: json.loads(each) for name, each in told.items()} == documents(NAMES)


_VARIABLES = ("cluster_name", "namespace", "service_account")


def test_cfn_lint_finds_nothing_in_the_template() -> None:
    file = DEPLOY / "cloudformation" / "nodesmith.yaml"
    program = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run([program, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_template_says_what_the_installer_does() -> None:
    stated = yaml.safe_load((DEPLOY / "cloudformation" / "nodesmith.yaml").read_text())
    resources = stated["Resources"]
    own = {
        filled(each["Properties"]["ManagedPolicyName"]["Fn::Sub"]): json.loads(
            filled(each["Properties"]["PolicyDocument"]["Fn::Sub"])
        )
        for each in resources.values()
        if each["Type"] == "AWS::IAM::ManagedPolicy"
    }
    assert own == policies.controller_policies(NAMES)
    trust = resources["ControllerRole"]["Properties"]["AssumeRolePolicyDocument"]["Fn::If"]
    assert [json.loads(filled(each["Fn::Sub"])) for each in trust[1:]] == [
        policies.controller_trust(NAMES),
        pod_identity_trust(NAMES),
    ]
    queue = json.loads(filled(resources["QueuePolicy"]["Properties"]["PolicyDocument"]["Fn::Sub"]))
    assert queue == policies.queue_policy(NAMES)
    rules = [each for each in resources.values() if each["Type"] == "AWS::Events::Rule"]
    assert {filled(each["Properties"]["Name"]["Fn::Sub"]) for each in rules} == {
        NAMES.rule(part) for part in policies.RULES
    }
    used = set(re.findall(r"\$\{(\w+)\}", json.dumps(stated))) | {
        each["Ref"] for each in _every(stated) if isinstance(each, dict) and set(each) == {"Ref"}
    }
    assert set(stated["Parameters"]) <= used


def _every(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(found for each in inner for found in _every(each))]


@pytest.mark.parametrize("cluster", ["a", "a" * 60, "b" * 100])
def test_names_fit_what_aws_allows(cluster: str) -> None:
    names = Names(cluster, "123456789012", "ap-northeast-2", "https://oidc.example/id/A1")
    rules = [names.rule(part) for part in policies.RULES]
    assert len(set(rules)) == len(rules)
    assert max(map(len, [*rules, names.node_role, names.controller_role])) <= 64
    assert len(names.queue) <= 80
    assert cloudformation.NAMES.queue == "Karpenter-${ClusterName}-SpotInterruptionQueue"
