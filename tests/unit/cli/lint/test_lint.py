"""The user's own files, with their slips: each found with its line, and put right."""

import gzip
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nodesmith.api.fault import Fault, Severity
from nodesmith.api.lint.files import Report, fix, lint
from nodesmith.api.lint.hcl import parse
from nodesmith.cli import build
from nodesmith.cli.lint import controller_needs

DATA = Path(__file__).parents[3] / "data" / "lint"
NEEDS = controller_needs()
RUNNER = CliRunner()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DATA, tmp_path / "files"))


def run(*arguments: str, stdin: str = "") -> tuple[int, str]:
    done = RUNNER.invoke(build(["lint"]), ["lint", *arguments], input=stdin)
    return done.exit_code, done.output


def told(report: Report) -> list[tuple[str, int, str]]:
    return [(Path(fault.file).name, fault.line, str(fault.severity)) for fault in report.faults]


def about(report: Report, word: str) -> Fault:
    [fault] = [fault for fault in report.faults if word in fault.message]
    return fault


def test_every_slip_of_the_walk_through_is_found(folder: Path) -> None:
    report = lint([folder], NEEDS)
    assert told(report) == [
        ("controller-role.tf", 42, "error"),
        ("controller-role.tf", 45, "warning"),
        ("discovery-tags.tf", 4, "error"),
        ("nodepool.yaml", 7, "warning"),
        ("nodepool.yaml", 16, "warning"),
        ("nodepool.yaml", 36, "warning"),
        ("nodepool.yaml", 47, "error"),
        ("nodepool.yaml", 50, "warning"),
        ("queue.tf", 1, "error"),
    ]
    assert about(report, "spec.limit").hint == "did you mean `limits`?"
    assert "from 1 to 100" in about(report, "spec.weight").hint
    assert about(report, "interna-elb").hint == "did you mean `kubernetes.io/role/internal-elb`?"
    assert "no queue policy and no EventBridge rules" in about(report, "aws_sqs_queue").message
    lacking = about(report, "does not allow").message
    for action in ("iam:ListInstanceProfiles", "ec2:DescribeCapacityReservations", "sqs:GetQueueAttributes"):
        assert action in lacking
    wide = about(report, "with no condition")
    for action in ("ec2:RunInstances", "ec2:CreateFleet", "ec2:CreateTags", "ec2:DeleteLaunchTemplate"):
        assert action in wide.message
    assert about(report, "only the zone").severity is Severity.WARNING
    assert about(report, "only the family").severity is Severity.WARNING


def test_what_is_plain_is_put_right_and_nothing_else_changes(folder: Path) -> None:
    before = {path.name: path.read_text("utf-8") for path in folder.iterdir()}
    report = fix([folder], NEEDS)
    after = {path.name: path.read_text("utf-8") for path in folder.iterdir()}
    assert {name for name in before if before[name] != after[name]} == {
        "nodepool.yaml",
        "queue.tf",
        "discovery-tags.tf",
        "controller-role.tf",
    }
    assert [fault for fault in report.faults if fault.is_error] == []
    assert len(report.fixed) == 6
    pool = before["nodepool.yaml"].replace("  limit:", "  limits:").replace("  weight:\n", "")
    assert after["nodepool.yaml"] == pool.replace("    metadata:\n", "")
    tags = before["discovery-tags.tf"].replace("interna-elb", "internal-elb")
    assert after["discovery-tags.tf"] == tags
    assert after["queue.tf"].startswith(before["queue.tf"])
    assert {block.labels[0] for block in parse(after["queue.tf"])[1]} == {
        "aws_sqs_queue",
        "aws_sqs_queue_policy",
        "aws_cloudwatch_event_rule",
        "aws_cloudwatch_event_target",
    }
    assert fix([folder], NEEDS).fixed == ()


def test_a_queue_alone_is_judged_by_its_module(folder: Path) -> None:
    fix([folder], NEEDS)
    queue, start, rest = (folder / "queue.tf").read_text().partition('resource "aws_sqs_queue_policy"')
    wiring = start + rest
    (folder / "queue.tf").write_text(queue)
    (folder / "events.tf").write_text(wiring)
    assert lint([folder / "queue.tf"], NEEDS).faults == ()
    assert lint([folder / "queue.tf"], NEEDS).file_count == 1
    (folder / "events.tf").write_text(wiring.replace("EC2 Spot Instance Interruption Warning", "Something Else"))
    [fault] = lint([folder / "queue.tf"], NEEDS).faults
    assert "does not hear of EC2 Spot Instance Interruption Warning" in fault.message


def test_a_policy_that_allows_everything_lacks_nothing(tmp_path: Path) -> None:
    file = tmp_path / "policy.tf"
    document = 'data "aws_iam_policy_document" "x" {\n  statement {\n    actions   = [ACTIONS]\n    resources = ["*"]\n  }\n}\n'
    file.write_text(document.replace("ACTIONS", '"ec2:CreateFleet", "*"'))
    assert [fault.severity for fault in lint([file], NEEDS).faults] == [Severity.WARNING]
    granted = ", ".join(f'"{action}"' for action in sorted(NEEDS.actions - {"ec2:DescribeImages"}))
    file.write_text(document.replace("ACTIONS", f'{granted}, "ec2:Describe*"'))
    assert [fault.severity for fault in lint([file], NEEDS).faults] == [Severity.WARNING]
    file.write_text(document.replace("ACTIONS", granted))
    assert len(fix([file], NEEDS).fixed) == 1
    assert '"ec2:DescribeImages", ' in file.read_text()


def test_terraform_that_cannot_be_read_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "broken.tf").write_text('resource "a" "b" {\n  x =\n}\n')
    [fault] = lint([tmp_path], NEEDS).faults
    assert (fault.line, fault.message) == (2, "not valid HCL")


VALUES = """\
settings:
  clusterNme: shop
  interruptionQueue: q
  batchIdleDuration: 1
replica: 3
affinity:
  nodeAffinity: {}
serviceAccount: {annotations: {a: b}}
"""


def test_values_of_the_chart_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "values-shop.yaml"
    file.write_text(VALUES)
    report = lint([file], NEEDS)
    assert [(fault.line, fault.path) for fault in report.faults] == [
        (1, "settings.clusterName"),
        (2, "settings.clusterNme"),
        (4, "settings.batchIdleDuration"),
        (5, "replica"),
        (6, "affinity"),
    ]
    fix([file], NEEDS)
    fixed = file.read_text()
    assert fixed == VALUES.replace("clusterNme", "clusterName").replace(": 1\n", ': "1"\n').replace(
        "replica:", "replicas:"
    )


def test_values_for_the_older_chart_say_where_things_are_now(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("settings:\n  aws: {clusterName: shop}\n  clusterName: shop\n")
    quiet, stray = lint([file], NEEDS).faults
    assert "directly under `settings`" in stray.hint
    assert "interruptions are not heeded" in quiet.message


def test_every_value_of_the_chart_is_known() -> None:
    chart = Path(__file__).parents[4] / "charts" / "nodesmith" / "values.yaml"
    faults = lint([chart], NEEDS).faults
    assert [fault.path for fault in faults if fault.is_error] == ["settings.clusterName"]


def test_the_command_tells_faults_for_people_and_for_programs(folder: Path) -> None:
    code, text = run(str(folder / "nodepool.yaml"))
    assert code == 2
    assert (
        f"error: {folder / 'nodepool.yaml'}:47: `spec.limit` is not a field of NodePool (karpenter.sh/v1)\n\nhint: did you mean"
        in text
    )
    assert text.endswith("1 error, 4 warnings in 1 file; --fix puts 3 right\n")
    code, text = run(str(folder / "nodepool.yaml"), "-o", "json")
    listed = json.loads(text)
    assert code == 2
    assert [fault["line"] for fault in listed["faults"]] == [7, 16, 36, 47, 50]
    assert listed["faults"][3] | {"file": ""} == {
        "file": "",
        "line": 47,
        "path": "spec.limit",
        "severity": "error",
        "message": "`spec.limit` is not a field of NodePool (karpenter.sh/v1)",
        "hint": "did you mean `limits`?",
        "fixable": True,
    }
    code, text = run("--fix", str(folder))
    assert code == 0
    assert "fixed: " in text


def test_it_reads_stdin_and_changes_no_gzipped_file(folder: Path, tmp_path: Path) -> None:
    text = (folder / "nodepool.yaml").read_text()
    code, output = run("-", stdin=text)
    assert code == 2
    assert "error: -:47:" in output
    packed = tmp_path / "pool.yaml.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    assert fix([packed], NEEDS).fixed == ()


def test_a_missing_file_is_an_error() -> None:
    code, output = run("nowhere.yaml")
    assert code == 2
    assert "error: nowhere.yaml:1: cannot be read: No such file or directory" in output


def test_other_files_in_a_folder_are_none_of_its_business(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {a: {image: b}}\n")
    assert lint([tmp_path], NEEDS).faults == ()
    assert len(lint([tmp_path / "compose.yaml"], NEEDS).faults) == 1
