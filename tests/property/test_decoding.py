"""Whatever a manifest says, reading it answers: with values or with faults, never with an exception."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from nodesmith.api import kinds
from nodesmith.api.documents import read_documents
from nodesmith.api.edits import apply_edits
from nodesmith.api.manifests import assemble
from nodesmith.api.validation import validate

DATA = Path(__file__).parents[1] / "data" / "manifests" / "right"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
POD_SPEC = {
    "containers": [
        {
            "name": "a",
            "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
            "ports": [{"containerPort": 80, "hostPort": 80}],
        }
    ],
    "initContainers": [{"name": "b", "restartPolicy": "Always", "resources": {"requests": {"cpu": 1}}}],
    "affinity": {
        "nodeAffinity": {
            REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}]}
        },
        "podAntiAffinity": {
            REQUIRED: [{"topologyKey": "z", "labelSelector": {"matchLabels": {"a": "b"}}, "matchLabelKeys": ["a"]}]
        },
    },
    "topologySpreadConstraints": [{"topologyKey": "z", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}],
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "nodeSelector": {"a": "b"},
    "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}, {"name": "w", "ephemeral": {}}],
    "overhead": {"cpu": "10m"},
    "priority": 5,
}
OTHERS: list[dict[str, Any]] = [
    {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "labels": {"a": "b"}},
        "spec": POD_SPEC,
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    },
    {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "s"},
        "spec": {
            "replicas": 2,
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": POD_SPEC},
            "volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": {"storageClassName": "x"}}],
        },
    },
    {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "n"},
        "spec": {"providerID": "x", "taints": [{"key": "a", "effect": "NoSchedule"}]},
        "status": {"allocatable": {"cpu": "1"}, "conditions": [{"type": "Ready", "status": "True"}]},
    },
    {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "b"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "minAvailable": "50%"},
    },
    {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "x"},
        "allowedTopologies": [{"matchLabelExpressions": [{"key": "z", "values": ["a"]}]}],
    },
]
RIGHT: list[dict[str, Any]] = [
    *(document for file in sorted(DATA.glob("*.yaml")) for document in yaml.safe_load_all(file.read_text())),
    *OTHERS,
]
WEIRD: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", "x", 0, -1, 1.5, True, [], {}, [None], ["x"], [{}], [[]], {"x": None}, {"x": {}}]
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inner for place in places(each, (*path, key)))]


@st.composite
def broken(draw: st.DrawFn) -> dict[str, Any]:
    manifest: dict[str, Any] = deepcopy(draw(st.sampled_from(RIGHT)))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(
            st.sampled_from([place for place in places(manifest) if place and place[0] not in {"kind", "apiVersion"}])
        )
        parent: Any = manifest
        for step in path[:-1]:
            parent = parent[step]
        match draw(st.sampled_from(["set", "drop", "rename"])):
            case "drop":
                del parent[path[-1]]
            case "rename" if isinstance(parent, dict):
                parent[f"{path[-1]}s"] = parent.pop(path[-1])
            case _:
                parent[path[-1]] = deepcopy(draw(WEIRD))
        if "metadata" not in manifest:
            break
    return manifest


@given(broken())
def test_reading_answers(manifest: dict[str, Any]) -> None:
    reading = read_documents(json.dumps(manifest), "x.json")
    for document in reading.documents:
        for fault in validate(document):
            assert fault.message
            assert fault.line == 1
    loaded = assemble(reading)
    read = [*loaded.snapshot.pods, *loaded.snapshot.nodes, *loaded.snapshot.pools, *loaded.node_classes]
    other = {"StatefulSet", "PodDisruptionBudget", "StorageClass", "NodeOverlay", "CapacityBuffer"}
    assert read or loaded.faults or manifest["kind"] in other


@given(broken())
def test_what_is_put_right_stays_yaml_and_has_fewer_faults(manifest: dict[str, Any]) -> None:
    text = yaml.safe_dump(manifest, sort_keys=False)
    [document] = read_documents(text, "x.yaml").documents
    faults = validate(document)
    edits = [fault.edit for fault in faults if fault.edit is not None]
    if not edits:
        return
    [corrected] = read_documents(apply_edits(text, edits), "x.yaml").documents
    before = {(fault.path, fault.message) for fault in faults if fault.edit is None}
    fixed = {(fault.path, fault.message) for fault in faults if fault.edit is not None}
    after = {(fault.path, fault.message) for fault in validate(corrected)}
    assert not after & (fixed - before)


STORED = st.sampled_from([manifest for manifest in RIGHT if manifest["kind"] != "CapacityBuffer"])


@given(STORED, st.dictionaries(st.text(min_size=1, max_size=5), WEIRD, max_size=3))
def test_fields_that_are_not_known_do_not_matter_to_decoders(manifest: dict[str, Any], more: dict[str, Any]) -> None:
    kind = kinds.kind_of(manifest)
    assert kind is not None
    if kind.decode(manifest) is manifest:
        return
    unknown = {f"x-{name}": value for name, value in more.items()}
    extended = {**manifest, **unknown, "metadata": {**manifest["metadata"], **unknown}}
    for part in ("spec", "status"):
        if part in manifest:
            extended[part] = {**manifest[part], **unknown}
    assert kind.decode(extended) == kind.decode(manifest)
