"""Manifest files as the cluster that they describe."""

import gzip
import json
from pathlib import Path
from textwrap import dedent

import pytest

from nodesmith.api.catalog import CatalogError, catalog_to_json, load_catalog, parse_catalog
from nodesmith.api.documents import read_documents, read_paths
from nodesmith.api.manifests import DEFAULT_NOW, Loaded, assemble, load
from nodesmith.model.labels import CAPACITY_TYPE, INSTANCE_TYPE, ZONE
from nodesmith.model.money import UsdPerHour
from nodesmith.model.pod import Pod, PodVolume

POOL = """
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: default}
spec:
  template:
    spec:
      nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: default}
      requirements: []
"""


def read(text: str) -> Loaded:
    return assemble(read_documents(dedent(text), "test.yaml"))


def pods(loaded: Loaded) -> dict[str, Pod]:
    return {pod.key: pod for pod in loaded.snapshot.pods}


def test_workloads_stand_for_their_pods() -> None:
    loaded = read("""
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web, creationTimestamp: "2025-01-01T00:00:00Z"}
        spec:
          replicas: 3
          template:
            metadata: {labels: {app: web}, annotations: {a: b}}
            spec: {containers: [{name: main, resources: {limits: {cpu: 1}}}]}
        ---
        apiVersion: apps/v1
        kind: ReplicaSet
        metadata: {name: one, namespace: shop}
        spec: {template: {spec: {containers: []}}}
        ---
        apiVersion: apps/v1
        kind: DaemonSet
        metadata: {name: agent}
        spec: {template: {spec: {containers: []}}}
    """)
    found = pods(loaded)
    assert list(found) == ["default/web-0", "default/web-1", "default/web-2", "shop/one-0"]
    web = found["default/web-0"]
    assert web.is_provisionable
    assert web.requests == {"cpu": 1000, "pods": 1}
    assert web.meta.labels == {"app": "web"}
    assert web.meta.annotations == {"a": "b"}
    owner = web.meta.owners[0]
    assert (owner.kind, owner.name, owner.controller) == ("Deployment", "web", True)
    assert web.spec is found["default/web-2"].spec
    assert len({pod.meta.uid for pod in found.values()}) == 4
    assert [daemons.meta.key for daemons in loaded.snapshot.daemonsets] == ["default/agent"]


def test_listed_pods_of_a_workload_count_for_it() -> None:
    loaded = read("""
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web}
        spec: {replicas: 3, template: {spec: {containers: []}}}
        ---
        apiVersion: apps/v1
        kind: ReplicaSet
        metadata: {name: web-abc, ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web}]}
        spec: {replicas: 3, template: {spec: {containers: []}}}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: web-abc-x, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-abc}]}
        spec: {nodeName: n}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: web-0}
    """)
    assert list(pods(loaded)) == ["default/web-0", "default/web-1", "default/web-2", "default/web-abc-x"]


def test_a_stateful_set_s_pods_have_claims_of_their_own() -> None:
    loaded = read("""
        apiVersion: apps/v1
        kind: StatefulSet
        metadata: {name: db}
        spec:
          replicas: 2
          template: {spec: {containers: []}}
          volumeClaimTemplates: [{metadata: {name: data}, spec: {storageClassName: fast}}]
        ---
        apiVersion: v1
        kind: PersistentVolumeClaim
        metadata: {name: data-db-1}
        spec: {volumeName: pv-1}
    """)
    assert pods(loaded)["default/db-1"].spec.volumes == (PodVolume("data-db-1"),)
    claims = loaded.snapshot.storage.claims
    assert list(claims) == ["default/data-db-0", "default/data-db-1"]
    assert claims["default/data-db-0"].storage_class == "fast"
    assert claims["default/data-db-1"].volume_name == "pv-1"


@pytest.mark.parametrize(
    ("more", "waits"),
    [
        ("spec: {}", True),
        ("spec: {nodeName: n}", False),
        ("spec: {schedulingGates: [{name: x}]}", False),
        ("status: {nominatedNodeName: n}", False),
        ("status: {phase: Succeeded}", False),
        ("status: {conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable}]}", True),
        ("status: {conditions: [{type: PodScheduled, status: 'False', reason: SchedulingGated}]}", False),
        ("status: {conditions: [{type: Ready, status: 'False'}]}", False),
    ],
)
def test_which_listed_pods_wait_for_a_node(more: str, waits: bool) -> None:  # noqa: FBT001 - a parameter
    [pod] = read(f"apiVersion: v1\nkind: Pod\nmetadata: {{name: x}}\n{more}").snapshot.pods
    assert pod.is_provisionable is waits


def test_a_bound_pod_runs_unless_it_says_otherwise() -> None:
    text = "apiVersion: v1\nkind: Pod\nmetadata: {{name: x}}\nspec: {{nodeName: n}}\nstatus: {}"
    [plain] = read(text.format("{}")).snapshot.pods
    assert (plain.phase, plain.is_ready) == ("Running", True)
    [starting] = read(text.format("{phase: Pending}")).snapshot.pods
    assert not starting.is_ready
    [unready] = read(text.format("{conditions: [{type: Ready, status: 'False'}]}")).snapshot.pods
    assert not unready.is_ready


CLAIM = """
apiVersion: karpenter.sh/v1
kind: NodeClaim
metadata: {{name: {name}, labels: {{karpenter.sh/nodepool: default}}}}
spec: {{nodeClassRef: {{group: g, kind: k, name: n}}, requirements: []}}
status: {status}
---
"""


def test_nodes_and_claims_find_each_other_by_id_or_name() -> None:
    loaded = read(
        CLAIM.format(name="by-id", status="{providerID: 'aws:///a/i-1'}")
        + CLAIM.format(name="by-node-name", status="{nodeName: b}")
        + CLAIM.format(name="c", status="{}")
        + CLAIM.format(name="on-its-way", status="{allocatable: {cpu: 4}}")
        + """
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Node, metadata: {name: a}, spec: {providerID: 'aws:///a/i-1'}}
- {apiVersion: v1, kind: Node, metadata: {name: b}}
- {apiVersion: v1, kind: Node, metadata: {name: c}}
- {apiVersion: v1, kind: Node, metadata: {name: stranger}}
- {apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {nodeName: b}}
"""
    )
    assert loaded.faults == ()
    assert loaded.snapshot.is_synced
    found = {
        node.name: (node.node is not None, node.claim.name if node.claim else None) for node in loaded.snapshot.nodes
    }
    assert found == {
        "a": (True, "by-id"),
        "b": (True, "by-node-name"),
        "c": (True, "c"),
        "on-its-way": (False, "on-its-way"),
        "stranger": (True, None),
    }
    by_name = {node.name: node for node in loaded.snapshot.nodes}
    assert all(by_name[name].is_initialized for name in ("a", "b", "c", "stranger"))
    assert [pod.key for pod in by_name["b"].pods] == ["default/p"]
    assert by_name["on-its-way"].allocatable == {"cpu": 4000}


def test_a_claim_with_conditions_is_what_they_say() -> None:
    status = "{conditions: [{type: Launched, status: 'True'}]}"
    loaded = read(
        CLAIM.format(name="n", status=status)
        + "apiVersion: v1\nkind: Node\nmetadata: {name: n, labels: {node.kubernetes.io/instance-type: m, karpenter.sh/nodepool: default}}"
    )
    [node] = loaded.snapshot.nodes
    assert not node.is_registered
    assert not node.is_initialized


def test_priorities_come_from_their_classes() -> None:
    loaded = read("""
        {apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: high}, value: 1000}
        ---
        {apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: usual}, value: 5, globalDefault: true}
        ---
        {apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {priorityClassName: high}}
        ---
        {apiVersion: v1, kind: Pod, metadata: {name: b}}
        ---
        {apiVersion: v1, kind: Pod, metadata: {name: c}, spec: {priorityClassName: system-node-critical}}
        ---
        {apiVersion: v1, kind: Pod, metadata: {name: d}, spec: {priority: 7}}
        ---
        {apiVersion: v1, kind: Pod, metadata: {name: e}}
    """)
    found = pods(loaded)
    assert [found[f"default/{name}"].spec.priority for name in "abcd"] == [1000, 5, 2_000_001_000, 7]
    assert found["default/b"].spec is found["default/e"].spec


@pytest.mark.parametrize(
    ("spec", "allowed"),
    [
        ("minAvailable: 2", 1),
        ("minAvailable: 50%", 1),
        ("minAvailable: 5", 0),
        ("maxUnavailable: 1", 0),
        ("maxUnavailable: 2", 1),
        ("maxUnavailable: 50%", 1),
    ],
)
def test_a_budget_without_status_is_counted(spec: str, allowed: int) -> None:
    listed = "\n---\n".join(
        f"{{apiVersion: v1, kind: Pod, metadata: {{name: p{number}, labels: {{app: web}}}}, spec: {{nodeName: n{number}}}}}"
        for number in range(3)
    )
    loaded = read(
        f"{listed}\n---\n{{apiVersion: v1, kind: Pod, metadata: {{name: waiting, labels: {{app: web}}}}}}\n---\n"
        f"apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{name: web}}\n"
        f"spec: {{selector: {{matchLabels: {{app: web}}}}, {spec}}}\n"
    )
    assert [budget.disruptions_allowed for budget in loaded.snapshot.budgets] == [allowed]


def test_a_budget_s_status_stands() -> None:
    loaded = read("""
        apiVersion: policy/v1
        kind: PodDisruptionBudget
        metadata: {name: web}
        spec: {selector: {}, minAvailable: 1}
        status: {disruptionsAllowed: 3}
    """)
    assert loaded.snapshot.budgets[0].disruptions_allowed == 3


def test_namespaces_are_there_with_the_label_of_their_name() -> None:
    loaded = read("""
        {apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: a}}}
        ---
        {apiVersion: v1, kind: Pod, metadata: {name: p}}
    """)
    labels = {name: each.meta.labels for name, each in loaded.snapshot.namespaces.items()}
    assert labels == {
        "default": {"kubernetes.io/metadata.name": "default"},
        "shop": {"kubernetes.io/metadata.name": "shop", "team": "a"},
    }


def test_a_claim_without_class_is_of_the_newest_default() -> None:
    storage_class = (
        "{{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {{name: {}, creationTimestamp: '{}', "
        "annotations: {{storageclass.kubernetes.io/is-default-class: 'true'}}}}}}\n---\n"
    )
    claims = """
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: {}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: b}, spec: {storageClassName: ''}}
"""
    loaded = read(
        storage_class.format("old", "2024-01-01T00:00:00Z")
        + storage_class.format("new", "2025-01-01T00:00:00Z")
        + claims
    )
    assert [claim.storage_class for claim in loaded.snapshot.storage.claims.values()] == ["new", ""]


def test_what_is_wrong_is_told_and_the_rest_is_read() -> None:
    loaded = read(POOL + "  limit: {cpu: 1}\n---\n{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: 5}}\n"
                  "---\n{apiVersion: v1, kind: Pod, metadata: {name: q}}\n---\nkind: [\n")  # fmt: skip
    assert [(fault.line, fault.path) for fault in loaded.faults] == [
        (17, ""),
        (10, "spec.limit"),
        (12, "spec.containers"),
    ]
    assert list(pods(loaded)) == ["default/q"]
    assert loaded.snapshot.pools == ()


def test_the_clock_stands_and_other_kinds_are_passed_over() -> None:
    loaded = read(
        POOL + "---\n{apiVersion: v1, kind: Service, metadata: {name: s}}\n---\n{a: b}\n---\n# nothing\n---\n- 1\n"
    )
    assert loaded.snapshot.taken_at == DEFAULT_NOW
    assert [pool.name for pool in loaded.snapshot.pools] == ["default"]
    assert loaded.faults == ()


def test_files_and_folders_are_read_gzipped_or_not(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "a.yaml").write_text(POOL)
    (tmp_path / "b" / "pods.json.gz").write_bytes(
        gzip.compress(
            json.dumps({"apiVersion": "v1", "kind": "PodList", "items": [pod_named("x"), pod_named("y")]}).encode()
        )
    )
    (tmp_path / ".hidden" / "c.yaml").write_text("kind: [")
    (tmp_path / "notes.txt").write_text("kind: [")
    loaded = load([tmp_path])
    assert loaded.faults == ()
    assert list(pods(loaded)) == ["default/x", "default/y"]
    assert [pool.name for pool in loaded.snapshot.pools] == ["default"]


def pod_named(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}}


def test_files_that_cannot_be_read_are_faults(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    faults = read_paths([tmp_path / "missing.yaml", tmp_path / "binary.yaml"]).faults
    assert [fault.message.split(":")[0] for fault in faults] == ["cannot be read", "cannot be read"]


def test_yaml_is_read_as_kubernetes_reads_it() -> None:
    [document] = read_documents(
        "a: 2026-01-01\nb: 1:30\nc: 0o17\nd: yes\n1: x\ntrue: y\ne: 1e3\n<<: {f: 0x10}\n", "x"
    ).documents
    assert document.data == {
        "a": "2026-01-01",
        "b": "1:30",
        "c": 0o17,
        "d": True,
        "1": "x",
        "true": "y",
        "e": "1e3",
        "f": 16,
    }


def test_lines_are_those_of_the_file() -> None:
    text = "# one\n---\na:\n  - b: 1\n    c: 2\n--- \n{d: {e: 1}}\n"
    first, second = read_documents(text, "x").documents
    assert first.line_of(("a", 0, "c")) == 5
    assert first.line_of(("a", 0, "missing")) == 4
    assert first.line_of(("a", 9)) == 3
    assert second.line_of(("d", "e")) == 7
    assert second.line_of() == 7


CATALOG = {
    "instanceTypes": [
        {
            "name": "m5.large",
            "requirements": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}],
            "capacity": {"cpu": "2", "memory": "8Gi", "pods": "29"},
            "overhead": {"kubeReserved": {"cpu": "70m"}, "evictionThreshold": {"memory": "100Mi"}},
            "offerings": [
                {"zone": "a", "zoneId": "z1", "capacityType": "spot", "price": 0.03, "available": False},
                {
                    "zone": "b",
                    "capacityType": "reserved",
                    "price": 0,
                    "available": True,
                    "reservationId": "cr-1",
                    "reservationType": "default",
                    "reservationCapacity": 3,
                },
                {"zone": "b", "capacityType": "on-demand", "price": None},
            ],
        }
    ]
}


def test_a_catalogue_is_read_and_written(tmp_path: Path) -> None:
    file = tmp_path / "catalog.json.gz"
    file.write_bytes(gzip.compress(json.dumps(CATALOG).encode()))
    [kind] = load_catalog(file)
    assert kind.allocatable == {"cpu": 1930, "memory": 8 * 2**30 - 100 * 2**20, "pods": 29}
    spot, reserved, unpriced = kind.offerings
    assert (spot.price, spot.is_available, spot.zone_id) == (UsdPerHour.of(0.03), False, "z1")
    assert (reserved.reservation_id, reserved.reservation_capacity) == ("cr-1", 3)
    assert unpriced.price is None
    assert unpriced.is_available
    assert kind.requirements.get(ZONE).values == {"a", "b"}
    assert kind.requirements.get(CAPACITY_TYPE).values == {"spot", "reserved", "on-demand"}
    assert kind.requirements.get(INSTANCE_TYPE).values == {"m5.large"}
    assert parse_catalog(json.dumps(catalog_to_json((kind,)))) == (kind,)


@pytest.mark.parametrize("text", ["", "{}", '{"instanceTypes": [{}]}', '{"instanceTypes": [{"name": 1}]}'])
def test_other_files_are_no_catalogue(text: str) -> None:
    with pytest.raises(CatalogError, match=r"prices\.json"):
        parse_catalog(text, "prices.json")
