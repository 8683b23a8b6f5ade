"""Slips of the pen in Kubernetes' own objects: what is meant is told, and what is merely not looked at is left alone."""

from __future__ import annotations

from typing import Any

import pytest

from nodesmith.api.documents import read_documents
from nodesmith.api.manifests import assemble

UNREAD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "generateName": "web-", "managedFields": [], "selfLink": "x"},
    "spec": {
        "hostname": "web",
        "hostPID": True,
        "hostIPC": True,
        "dnsPolicy": "Default",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "serviceAccountName": "web",
        "subdomain": "x",
        "containers": [
            {
                "name": "main",
                "image": "web",
                "args": ["x"],
                "env": [{"name": "A", "value": "b"}],
                "resizePolicy": [],
                "volumeMounts": [{"name": "v", "mountPath": "/v"}],
                "resources": {"requests": {"cpu": 1, "memory": "1Gi", "example.com/gpu": "1"}},
                "ports": [{"containerPort": 80, "name": "http"}],
            }
        ],
        "volumes": [{"name": "v", "emptyDir": {}}],
    },
}


def faults(text: str) -> list[tuple[int, str, str]]:
    """Line, message and hint of each fault."""
    return [(each.line, each.message, each.hint) for each in assemble(read_documents(text, "x.yaml")).faults]


def pod(line: str, *, container: str = "") -> str:
    return (
        f"apiVersion: v1\nkind: Pod\nmetadata: {{name: web}}\nspec:\n  {line}\n  containers: [{{name: a{container}}}]"
    )


def test_a_field_that_misses_one_by_a_letter_or_two_is_told_with_line_and_path() -> None:
    assert faults(pod("nodeSelectr: {a: b}")) == [
        (5, "`spec.nodeSelectr` is not a field of Pod (v1)", "did you mean `nodeSelector`?")
    ]
    (told,) = faults(pod("nodename: x", container=", resources: {request: {cpu: 1}}")[:-1] + "]")[1:]
    assert told == (
        6,
        "`spec.containers[0].resources.request` is not a field of Pod (v1)",
        "did you mean `requests`?",
    )


def test_fields_that_are_not_looked_at_are_no_faults() -> None:
    assert faults(str(UNREAD).replace("True", "true")) == []
    assert faults(pod("hostNetwork: true\n  hostnetwork: true")) == []


def test_an_amount_that_is_none_is_told() -> None:
    text = pod("overhead: {cpu: 1x}", container=", resources: {requests: {cpu: abc}, limits: {memory: 1Gi}}")
    assert [message.split(": ")[0] for _, message, _ in faults(text)] == [
        "`spec.overhead.cpu`",
        "`spec.containers[0].resources.requests.cpu`",
    ]


@pytest.mark.parametrize(
    ("head", "says", "hint"),
    [
        ("apiVersion: v1\nkind: Podd", '`kind`: "Podd" (v1) is not known', "did you mean `Pod`?"),
        ("apiVersion: apps/v1\nkind: deployment", '"deployment" (apps/v1) is not known', "did you mean `Deployment`?"),
        ("apiVersion: v1\nkind: Deployment", '"v1" does not serve Deployment', "Deployment is of apps/v1"),
        ("apiVersion: extensions/v1beta1\nkind: DaemonSet", "does not serve DaemonSet", "DaemonSet is of apps/v1"),
        (
            "apiVersion: karpenter.sh/v1beta1\nkind: NodePool",
            "does not serve NodePool",
            "NodePool is of karpenter.sh/v1",
        ),
        ("kind: Pod", "`apiVersion` is missing", "an object begins with `apiVersion:` and `kind:`"),
    ],
)
def test_a_kind_that_is_not_served_so_is_told(head: str, says: str, hint: str) -> None:
    (fault,) = faults(f"{head}\nmetadata: {{name: x}}")
    assert says in fault[1]
    assert fault[2] == hint


@pytest.mark.parametrize(
    "head",
    [
        "apiVersion: v1\nkind: LimitRange",
        "apiVersion: v1\nkind: Endpoints",
        "apiVersion: batch/v1\nkind: CronJob",
        "apiVersion: serving.knative.dev/v1\nkind: Service",
        "apiVersion: events.k8s.io/v1\nkind: Event",
        "apiVersion: example.com/v1\nkind: Pods",
    ],
)
def test_kinds_of_others_are_left_alone(head: str) -> None:
    assert faults(f"{head}\nmetadata: {{name: x}}") == []
