"""What lint says beside the wrong manifests of tests/data: warnings, repairs, and how problems are put in order."""

from textwrap import dedent
from typing import Any

import pytest

from nodesmith.api.crd import all_crds, crd
from nodesmith.api.documents import read_documents
from nodesmith.api.edits import apply_edits
from nodesmith.api.fault import Edit, Fault, Severity, path_text
from nodesmith.api.likeness import edit_distance, slip_of
from nodesmith.api.schema import Schema, schema_of
from nodesmith.api.served import ALL, NODE_POOL
from nodesmith.api.validation import manifest_problems, validate
from nodesmith.api.wire.base import manifest_name

POOL = """\
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: default}
spec:
  template:
    spec:
      nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: default}
      requirements:
"""


def faults(text: str, *, with_advice: bool = True) -> list[Fault]:
    return [
        fault
        for document in read_documents(dedent(text), "x.yaml").documents
        for fault in validate(document, with_advice=with_advice)
    ]


def of_requirements(*requirements: str, with_advice: bool = True) -> list[tuple[str, str, str]]:
    text = POOL + "".join(f"        - {each}\n" for each in requirements)
    return [(str(each.severity), each.message, each.hint) for each in faults(text, with_advice=with_advice)]


def test_requirements_that_no_value_meets_are_told() -> None:
    found = of_requirements(
        "{key: kubernetes.io/arch, operator: In, values: [arm64]}",
        "{key: beta.kubernetes.io/arch, operator: NotIn, values: [arm64]}",
        "{key: example.com/a, operator: NotIn, values: [x]}",
        "{key: example.com/a, operator: DoesNotExist}",
    )
    assert [(severity, "no value of kubernetes.io/arch meets this" in message) for severity, message, _ in found] == [
        ("warning", True)
    ]


def test_a_value_that_no_machine_has_is_a_warning_where_others_are_right() -> None:
    [(severity, message, hint)] = of_requirements(
        "{key: karpenter.sh/capacity-type, operator: In, values: [spot, ondemand]}"
    )
    assert (severity, hint) == ("warning", "did you mean `on-demand`?")
    assert 'no node is "ondemand"' in message


def test_min_values_counts_values_that_exist() -> None:
    found = of_requirements("{key: karpenter.sh/capacity-type, operator: In, values: [spot, x, y], minValues: 2}")
    assert ("error", "2 are asked for, and 1 of the values exist") in [
        (severity, message.split(": ")[-1]) for severity, message, _ in found
    ]


def test_a_key_that_misses_a_known_one_is_a_warning() -> None:
    [(severity, message, hint)] = of_requirements("{key: topology.kubernetes.io/zones, operator: Exists}")
    assert (severity, hint) == ("warning", "did you mean `topology.kubernetes.io/zone`?")
    assert "nodes have no label" in message
    assert of_requirements("{key: example.com/zone, operator: Exists}") == []


def test_little_choice_is_worth_a_word_only_where_it_is_asked_for() -> None:
    narrow = (
        "{key: node.kubernetes.io/instance-type, operator: In, values: [m5.large]}",
        "{key: karpenter.sh/capacity-type, operator: In, values: [spot]}",
        "{key: topology.kubernetes.io/zone, operator: In, values: [a]}",
    )
    told = [message for _, message, _ in of_requirements(*narrow)]
    assert len(told) == 2
    assert "only 1 instance types for spot" in told[0]
    assert "only the zone a" in told[1]
    assert of_requirements(*narrow, with_advice=False) == []


def test_a_selector_by_a_misspelt_tag_is_a_warning() -> None:
    [fault] = faults("""\
        apiVersion: karpenter.k8s.aws/v1
        kind: EC2NodeClass
        metadata: {name: default}
        spec:
          role: nodes
          amiSelectorTerms: [{alias: al2023@latest}]
          subnetSelectorTerms: [{tags: {"kubernetes.io/role/interna-elb": "1"}}]
          securityGroupSelectorTerms: [{tags: {karpenter.sh/discovery/shop: x}}]
    """)
    assert fault.severity is Severity.WARNING
    assert fault.hint == "did you mean `kubernetes.io/role/internal-elb`?"
    assert fault.edit is not None


def test_placeholders_are_not_judged() -> None:
    assert (
        faults("""\
        apiVersion: karpenter.k8s.aws/v1
        kind: EC2NodeClass
        metadata: {name: "${NAME}"}
        spec:
          role: "${ROLE}"
          amiSelectorTerms: [{alias: "al2023@${VERSION}"}]
          subnetSelectorTerms: [{id: "${SUBNET}"}]
          securityGroupSelectorTerms: [{tags: {karpenter.sh/discovery: "${CLUSTER}"}}]
    """)
        == []
    )


def test_other_kinds_are_not_ours_to_judge() -> None:
    assert faults("{apiVersion: v1, kind: Service, metadata: {name: x}, spec: {anything: 1}}") == []
    assert faults("{apiVersion: example.com/v1, kind: Widget, metadata: {name: x}}") == []


def test_each_fault_is_told_once_and_in_order_of_line() -> None:
    found = faults(POOL.replace("kind: EC2NodeClass, ", "") + "        - {operator: In}\n  weight: 0\n")
    assert [fault.line for fault in found] == sorted(fault.line for fault in found)
    assert len({(fault.line, fault.message) for fault in found}) == len(found)
    assert len(found) == 4


def test_paths_are_written_as_people_write_them() -> None:
    assert path_text(("spec", "taints", 0, "key")) == "spec.taints[0].key"
    assert path_text(("metadata", "labels", "a/b")) == 'metadata.labels["a/b"]'


def test_edits_are_made_from_the_end_and_do_not_overlap() -> None:
    edits = [Edit(1, 0, 1, 1, "A"), Edit(2, 0, 3, 0, ""), Edit(1, 0, 1, 2, "never"), Edit(3, 1, 3, 1, "!")]
    assert apply_edits("ab\ncd\nef\n", edits) in {"Ab\ne!f\n", "neverb\ne!f\n", "never\ne!f\n"}
    assert apply_edits("한글: x\n", [Edit(1, 4, 1, 5, "y")]) == "한글: y\n"
    assert apply_edits("a", [Edit(2, 0, 2, 0, "\nb\n")]) == "a\nb\n"


def test_a_slip_is_a_letter_or_two() -> None:
    assert edit_distance("kitten", "sitting") == 3
    assert slip_of("karpenter.sh/discovry", ["karpenter.sh/discovery"]) == "karpenter.sh/discovery"
    assert slip_of("karpenter.sh/discovery", ["karpenter.sh/discovery"]) is None
    assert slip_of("karpenter.sh/discovery/shop", ["karpenter.sh/discovery"]) is None


def test_field_names_are_spelt_as_in_manifests() -> None:
    assert [
        manifest_name(each) for each in ("kms_key_id", "cpu_cfs_quota", "associate_public_ip_address", "global_")
    ] == [
        "kmsKeyID",
        "cpuCFSQuota",
        "associatePublicIPAddress",
        "global",
    ]


def every_schema(schema: Schema, path: str) -> list[tuple[str, Schema]]:
    inner = [*((f"{path}.{name}", each) for name, each in schema.fields.items())]
    if schema.items is not None:
        inner.append((f"{path}[]", schema.items))
    return [(path, schema), *(found for name, each in inner for found in every_schema(each, name))]


@pytest.mark.parametrize("served", ALL, ids=lambda served: served.kind.name)
def test_every_field_says_what_it_is_for(served: Any) -> None:
    silent = [
        path
        for path, each in every_schema(schema_of(served.struct), served.kind.name)
        if not each.about and not path.endswith("[]")
    ]
    assert silent == []


def test_definitions_are_named_and_served_as_upstream_s() -> None:
    names = {each["metadata"]["name"]: each["spec"] for each in all_crds()}
    assert set(names) == {
        "nodepools.karpenter.sh",
        "nodeclaims.karpenter.sh",
        "ec2nodeclasses.karpenter.k8s.aws",
        "nodeoverlays.karpenter.sh",
        "capacitybuffers.autoscaling.x-k8s.io",
    }
    assert names["ec2nodeclasses.karpenter.k8s.aws"]["names"]["shortNames"] == ["ec2nc", "ec2ncs"]
    assert names["capacitybuffers.autoscaling.x-k8s.io"]["scope"] == "Namespaced"
    [version] = crd(NODE_POOL)["spec"]["versions"]
    assert version["subresources"]["scale"] == {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.nodes",
    }
    root = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert root["required"] == ["template"]
    assert root["properties"]["disruption"]["default"] == {"consolidateAfter": "0s"}


@pytest.mark.parametrize(
    ("kubelet", "told"),
    [
        ({"kubeReserved": {"cpu": "vcpus * 10"}}, [("warning", "with the gate NodeClassCEL")]),
        ({"maxPods": "110"}, [("warning", "with the gate NodeClassCEL")]),
        ({"kubeReserved": {"memory": "100Mb"}}, [("error", "neither a quantity nor an expression")]),
        ({"maxPods": "many"}, [("error", "neither a number nor an expression")]),
        ({"maxPods": "${PODS}", "kubeReserved": {"cpu": "${CPU}"}}, []),
        ({"maxPods": 110, "kubeReserved": {"cpu": "100m"}}, []),
        ({"registryBurstt": 5}, [("error", "is not a field")]),
    ],
)
def test_an_expression_is_told_of_and_what_is_none_is_wrong(
    kubelet: dict[str, Any], told: list[tuple[str, str]]
) -> None:
    spec = {
        "role": "r",
        "amiSelectorTerms": [{"alias": "al2023@latest"}],
        "subnetSelectorTerms": [{"id": "subnet-1"}],
        "securityGroupSelectorTerms": [{"id": "sg-1"}],
        "kubelet": kubelet,
    }
    manifest = {"apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": {"name": "a"}, "spec": spec}
    found = [(str(each.severity), each.message) for each in manifest_problems(manifest)]
    assert len(found) == len(told)
    assert all(mine[0] == theirs[0] and theirs[1] in mine[1] for mine, theirs in zip(found, told, strict=True))
