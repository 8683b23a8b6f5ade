"""Manifests and descriptions read into facts."""

from typing import Any

import pytest

from nodesmith.api.crd import all_crds
from nodesmith.install.doctor.clusterfacts import Controller, ServicePort
from nodesmith.install.doctor.gather.controllers import controllers_of, pod_of, ports_of
from nodesmith.install.doctor.gather.network import routes_of
from nodesmith.install.doctor.own import FIELDS, definition_of
from tests.unit.install.doctor.healthy import CONTROLLER

NODEPOOL = {"key": "karpenter.sh/nodepool", "operator": "DoesNotExist"}
NODEGROUP = {"key": "eks.amazonaws.com/nodegroup", "operator": "In", "values": ["default"]}


def deployment(
    *, image: str, args: list[str] | None = None, labels: dict[str, str] | None = None, **pod: Any
) -> dict[str, Any]:
    env = [{"name": "CLUSTER_NAME", "value": "demo"}, {"name": "SYSTEM_NAMESPACE", "valueFrom": {"fieldRef": {}}}]
    container = {"name": "controller", "image": image, "env": env, "args": args or []}
    container["ports"] = [{"name": "http-metrics", "containerPort": 8080}, {"containerPort": 9}]
    template = {"spec": {"containers": [{"name": "sidecar", "image": "x"}, container], **pod}}
    spec = {"replicas": 2, "template": template, "selector": {"matchLabels": {"app": "k"}}}
    metadata = {"name": "karpenter", "namespace": "kube-system", "labels": labels or {}}
    return {"metadata": metadata, "spec": spec, "status": {"readyReplicas": 1}}


def one(manifest: dict[str, Any]) -> Controller:
    (found,) = controllers_of([manifest])
    return found


def affinity(*terms: list[dict[str, Any]]) -> dict[str, Any]:
    listed = {"nodeSelectorTerms": [{"matchExpressions": each} for each in terms]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": listed}}}


@pytest.mark.parametrize(
    ("image", "args", "is_nodesmith", "version"),
    [
        ("registry.local:5000/team/nodesmith:v0.1.0", [], True, "0.1.0"),
        ("nodesmith", ["run"], True, ""),
        ("registry.local/karpenter/mirror:0.2@sha256:abc", ["run"], True, "0.2"),
        ("public.ecr.aws/karpenter/controller:1.9.0@sha256:abc", [], False, "1.9.0"),
    ],
)
def test_a_controller_is_known_by_its_image(image: str, args: list[str], *, is_nodesmith: bool, version: str) -> None:
    found = one(deployment(image=image, args=args))
    assert (found.is_nodesmith, found.version) == (is_nodesmith, version)
    assert (found.key, found.replicas, found.ready, found.service_account) == ("kube-system/karpenter", 2, 1, "default")
    assert (found.environment, found.ports) == ({"CLUSTER_NAME": "demo"}, {"http-metrics": 8080})


def test_a_mirrored_image_is_known_by_the_charts_label() -> None:
    assert one(deployment(image="mirror/abc:1", labels={"app.kubernetes.io/name": "karpenter"})).version == "1"


def test_other_deployments_are_no_controllers() -> None:
    bare = deployment(image="karpenter/docs:1")
    bare["spec"]["template"]["spec"]["containers"][1]["env"] = []
    assert list(controllers_of([bare, deployment(image="nginx:1"), {"metadata": {"name": "x"}}])) == []


@pytest.mark.parametrize(
    ("pod", "keeps_off"),
    [
        ({}, False),
        (affinity([NODEPOOL]), True),
        (affinity([NODEPOOL, NODEGROUP]), True),
        (affinity([NODEGROUP]), True),
        (affinity([NODEPOOL], [{"key": "zone", "operator": "Exists"}]), False),
        (affinity([{**NODEPOOL, "operator": "Exists"}]), False),
        ({"nodeSelector": {"eks.amazonaws.com/nodegroup": "default"}}, True),
        ({"nodeSelector": {"kubernetes.io/os": "linux"}}, False),
    ],
)
def test_what_keeps_a_controller_off_nodes_of_its_own(pod: dict[str, Any], *, keeps_off: bool) -> None:
    assert one(deployment(image="nodesmith", **pod)).keeps_off_own_nodes is keeps_off


def test_a_pod_says_why_it_ended_and_what_it_waits_for() -> None:
    states = [
        {"restartCount": 3, "lastState": {"terminated": {"reason": "OOMKilled"}}, "state": {"running": {}}},
        {"restartCount": 1, "state": {"waiting": {"reason": "CrashLoopBackOff"}}},
    ]
    manifest = {"metadata": {"name": "k-0"}, "spec": {"nodeName": "n"}, "status": {"containerStatuses": states}}
    pod = pod_of(manifest, "default")
    assert (pod.node, pod.pool, pod.is_ready, pod.restarts) == ("n", "default", False, 3)
    assert (pod.last_end, pod.waits_for) == ("OOMKilled", "CrashLoopBackOff")


def test_a_pod_without_a_node_waits_for_what_the_scheduler_says() -> None:
    condition = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}
    pod = pod_of({"metadata": {"name": "k-0"}, "status": {"conditions": [condition]}}, "")
    assert pod.waits_for == "0/1 nodes are available"


def test_services_that_select_the_controller_send_to_its_ports() -> None:
    def service(name: str, selector: dict[str, str], namespace: str = "kube-system") -> dict[str, Any]:
        ports = [{"name": "http-metrics", "port": 8080, "targetPort": "http-metrics"}, {"port": 9}]
        return {"metadata": {"name": name, "namespace": namespace}, "spec": {"selector": selector, "ports": ports}}

    own = dict(CONTROLLER.selector)
    services = [service("k", own), service("none", {}), service("other", {"app": "x"}), service("far", own, "far")]
    assert list(ports_of(services, CONTROLLER)) == [
        ServicePort("k", "http-metrics", "http-metrics"),
        ServicePort("k", "9", "9"),
    ]


def test_a_subnet_has_its_own_routes_or_the_main_ones() -> None:
    main = {"Associations": [{"Main": True}], "Routes": [{"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1"}]}
    dead = {"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1", "State": "blackhole"}
    own = {"Associations": [{"SubnetId": "subnet-a"}], "Routes": [dead]}
    (route,) = routes_of("subnet-a", [main, own])
    assert (route.target, route.is_active) == ("nat-1", False)
    (route,) = routes_of("subnet-b", [main, own])
    assert (route.target, route.is_active) == ("igw-1", True)
    assert routes_of("subnet-c", []) == ()


def test_a_definition_tells_its_versions_and_every_field() -> None:
    crd = next(each for each in all_crds() if each["metadata"]["name"] == "nodepools.karpenter.sh")
    found = definition_of(crd)
    assert (found.served, found.stored) == (("v1",), "v1")
    assert {"spec.limits", "spec.template.spec.requirements.minValues", "status.conditions"} <= found.fields
    assert found.fields == FIELDS["nodepools.karpenter.sh"]
