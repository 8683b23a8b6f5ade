"""The kubelet's settings of an EC2NodeClass: expressions worked out by type, and what keeps nodes from being launched."""

from __future__ import annotations

from typing import Any

import pytest

from nodesmith.adapters.aws.catalog import TypeFacts, parse_type
from nodesmith.adapters.aws.kubelet import node_shape, settled
from nodesmith.adapters.aws.kubeletcheck import kubelet_fault
from nodesmith.adapters.aws.settings import AwsSettings
from nodesmith.api.ec2nodeclass import EC2NodeClass, KubeletConfiguration, decode_ec2nodeclass
from nodesmith.api.expressions import EvaluationError
from nodesmith.api.nodeclasshash import VERSIONS, node_class_hash
from tests.unit.adapters.aws.vectors import vectors


def node_class(alias: str = "al2023", **kubelet: Any) -> EC2NodeClass:
    return decode_ec2nodeclass(
        {
            "metadata": {"name": "a"},
            "spec": {"amiSelectorTerms": [{"alias": f"{alias}@latest"}], "role": "r", "kubelet": kubelet},
        }
    )


def facts(name: str = "m5.large") -> TypeFacts:
    return next(parse_type(row["input"]) for row in vectors("instance_types")["types"] if row["name"] == name)


def worked_out(name: str = "m5.large", *, is_on: bool = True, **kubelet: Any) -> KubeletConfiguration:
    shape = node_shape(node_class(**kubelet), AwsSettings("c", "r", is_cel_enabled=is_on))
    return settled(shape, facts(name)).kubelet


@pytest.mark.parametrize(
    ("resource", "text", "amount"),
    [
        ("cpu", "vcpus * 5", "10m"),
        ("cpu", "vcpus * 5 + 1", "20m"),
        ("cpu", "vcpus / 3", "0m"),
        ("memory", "max_pods + 3", "32Mi"),
        ("memory", "max_pods + 4", "48Mi"),
        ("ephemeral-storage", "vcpus + 1", "3Gi"),
        ("pid", "vcpus * 1000 + 7", "2007"),
        ("memory", "512Mi", "512Mi"),
        ("cpu", "2", "2"),
    ],
)
def test_amounts_have_units_and_are_rounded_up(resource: str, text: str, amount: str) -> None:
    made = worked_out(kubeReserved={resource: text}, systemReserved={resource: text})
    assert (made.kube_reserved, made.system_reserved) == ({resource: amount}, {resource: amount})


def test_amounts_see_the_pods_that_come_out_and_pods_those_that_the_type_takes() -> None:
    # m5.large takes 29 pods by its interfaces: 3 of them, 10 addresses each.
    made = worked_out(maxPods="max_pods - 9", kubeReserved={"pid": "max_pods"})
    assert (made.max_pods, made.kube_reserved) == (20, {"pid": "20"})
    capped = worked_out(maxPods="default_enis * ips_per_eni", podsPerCore=5, kubeReserved={"pid": "max_pods"})
    assert (capped.max_pods, capped.kube_reserved) == (30, {"pid": "10"})
    named = worked_out(
        "m5.large", kubeReserved={"pid": "instance_type == 'm5.large' ? memory_mib : 0"}, systemReserved={"cpu": "1m"}
    )
    assert (named.kube_reserved, named.system_reserved) == ({"pid": "8192"}, {"cpu": "1m"})


def test_without_the_gate_expressions_count_as_not_set() -> None:
    made = worked_out(is_on=False, maxPods="vcpus", kubeReserved={"cpu": "vcpus", "memory": "1Gi"})
    assert (made.max_pods, made.kube_reserved) == (None, {"memory": "1Gi"})


@pytest.mark.parametrize(
    ("kubelet", "told"),
    [
        ({"maxPods": "0 - 1"}, "maxPods for m5.large: -1 is negative"),
        ({"maxPods": "2147483648"}, "maxPods: 2147483648 for m5.large is out of range"),
        ({"kubeReserved": {"cpu": "0 - vcpus"}}, "kubeReserved.cpu for m5.large: -2 is negative"),
        ({"systemReserved": {"memory": "1 / (vcpus - vcpus)"}}, "systemReserved.memory for m5.large: division by zero"),
    ],
)
def test_a_result_that_is_of_no_use_is_told_with_the_type(kubelet: dict[str, Any], told: str) -> None:
    with pytest.raises(EvaluationError, match=told):
        worked_out(**kubelet)


@pytest.mark.parametrize(
    ("alias", "kubelet", "reason", "told"),
    [
        (
            "al2023",
            {"registryBurstt": 20},
            "InvalidKubeletConfiguration",
            "`spec.kubelet.registryBurstt` is not a field",
        ),
        ("al2023", {"registryPullQPS": "7"}, "InvalidKubeletConfiguration", "must be a whole number"),
        ("al2023", {"registerWithTaints": []}, "InvalidKubeletConfiguration", "registerWithTaints"),
        ("al2023", {"maxPods": -1}, "InvalidKubeletConfiguration", "maxPods cannot be negative"),
        ("al2023", {"kubeReserved": {"gpu": "1"}}, "InvalidKubeletConfiguration", "valid keys for kubeReserved"),
        ("al2023", {"evictionMinimumReclaim": {"memory": "1"}}, "InvalidKubeletConfiguration", "valid keys"),
        ("al2023", {"evictionSoft": {"memory.available": "5%"}}, "InvalidKubeletConfiguration", "matching"),
        (
            "al2023",
            {"imageGCHighThresholdPercent": 10, "imageGCLowThresholdPercent": 60},
            "InvalidKubeletConfiguration",
            "must be greater",
        ),
        ("bottlerocket", {"registryPullQPS": 10}, "UnsupportedKubeletConfiguration", "spec.kubelet.registryPullQPS"),
        ("windows2022", {"registryPullQPS": 10}, "UnsupportedKubeletConfiguration", "Windows2022 does not take"),
        ("al2", {"clusterDNS": ["1.1.1.1", "1.1.1.2"]}, "UnsupportedKubeletConfiguration", "more than one"),
        ("bottlerocket", {"podsPerCore": 10}, "UnsupportedKubeletConfiguration", "spec.kubelet.podsPerCore"),
        ("al2023", {"maxPods": "min(110,"}, "KubeletExpressionInvalid", 'spec.kubelet.maxPods: "min(110," cannot'),
        ("al2023", {"kubeReserved": {"cpu": "vcpus *"}}, "KubeletExpressionInvalid", "spec.kubelet.kubeReserved.cpu"),
        ("al2023", {"systemReserved": {"memory": "bogus_var"}}, "KubeletExpressionInvalid", "`bogus_var` is not known"),
    ],
)
def test_what_keeps_nodes_from_being_launched_is_told(
    alias: str, kubelet: dict[str, Any], reason: str, told: str
) -> None:
    found = kubelet_fault(node_class(alias, **kubelet), is_cel_enabled=True)
    assert found is not None
    assert found[0] == reason
    assert told in found[1]


def test_all_that_is_invalid_is_told_at_once() -> None:
    given: dict[str, Any] = {"maxPod": 1, "registryBurst": "a", "podsPerCore": -1}
    found = kubelet_fault(node_class(**given), is_cel_enabled=True)
    assert found is not None
    assert [each in found[1] for each in ("maxPod`", "registryBurst", "podsPerCore")] == [True] * 3


@pytest.mark.parametrize("alias", ["al2023", "custom"])
def test_settings_of_the_kubelet_are_passed_on_where_there_is_a_place_for_them(alias: str) -> None:
    kubelet: Any = {"registryPullQPS": 7, "featureGates": {"Foo": True}, "clusterDNS": ["1.1.1.1", "1.1.1.2"]}
    spec = {"amiFamily": "Custom", "amiSelectorTerms": [{"id": "ami-1"}], "kubelet": kubelet}
    own = node_class(**kubelet) if alias == "al2023" else decode_ec2nodeclass({"metadata": {"name": "a"}, "spec": spec})
    assert kubelet_fault(own, is_cel_enabled=False) is None


@pytest.mark.parametrize("kubelet", [{"maxPods": "vcpus"}, {"kubeReserved": {"cpu": "vcpus"}}])
def test_an_expression_needs_the_gate(kubelet: dict[str, Any]) -> None:
    found = kubelet_fault(node_class(**kubelet), is_cel_enabled=False)
    assert found is not None
    assert found[0] == "KubeletExpressionsDisabled"
    assert kubelet_fault(node_class(**kubelet), is_cel_enabled=True) is None


@pytest.mark.parametrize("version", VERSIONS)
def test_a_setting_that_is_passed_on_and_an_expression_are_drift(version: str) -> None:
    variants: list[Any] = [
        {"maxPods": 10},
        {"maxPods": 10, "registryPullQPS": 7},
        {"maxPods": 10, "registryPullQPS": 8},
        {"maxPods": "vcpus"},
        {"maxPods": "vcpus * 2"},
        {"kubeReserved": {"cpu": "vcpus"}},
    ]
    hashes = [node_class_hash(node_class(**each), version=version) for each in variants]
    assert len(set(hashes)) == len(variants)
    assert hashes[1] == node_class_hash(node_class(registryPullQPS=7.0, maxPods=10.0), version=version)
