"""The CRDs on a real API server: it takes what lint takes, refuses what lint refuses, and fills in what decoders do."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodesmith.api.ec2nodeclass import decode_ec2nodeclass
from nodesmith.api.kinds import EC2_NODE_CLASS, NODE_POOL
from nodesmith.api.nodepool import decode_node_pool
from tests.e2e.controlplane import ControlPlane

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data" / "manifests"
OURS = re.compile(r"^\s*apiVersion: (karpenter\.|autoscaling\.x-k8s)", re.MULTILINE)
WRONG = [
    file
    for file in sorted((DATA / "wrong").glob("*.yaml"))
    if OURS.search(text := file.read_text("utf-8")) and not text.splitlines()[0].endswith("# only lint")
]


@pytest.fixture(scope="session")
def with_crds(bare_plane: ControlPlane) -> ControlPlane:
    done = bare_plane.kubectl("apply", "--server-side", f"--filename={ROOT / 'charts' / 'nodesmith' / 'crds'}")
    assert done.returncode == 0, done.stderr
    done = bare_plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
    assert done.returncode == 0, done.stderr
    return bare_plane


def dry_run(plane: ControlPlane, file: Path) -> Any:
    return plane.kubectl(
        "create", "--dry-run=server", "--validate=strict", "--output=json", f"--filename={file}", "--save-config=false"
    )


@pytest.mark.parametrize("file", sorted((DATA / "right").glob("*.yaml")), ids=lambda file: file.stem)
def test_it_takes_what_is_right(with_crds: ControlPlane, file: Path) -> None:
    done = dry_run(with_crds, file)
    assert done.returncode == 0, done.stderr


def test_it_refuses_what_lint_refuses(with_crds: ControlPlane) -> None:
    assert len(WRONG) > 80
    taken = [file.name for file in WRONG if dry_run(with_crds, file).returncode == 0]
    assert taken == []


def test_the_shortest_manifests_decode_as_with_the_servers_defaults(with_crds: ControlPlane, tmp_path: Path) -> None:
    pool = {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": "short"},
        "spec": {
            "template": {
                "spec": {
                    "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "short"},
                    "requirements": [],
                }
            }
        },
    }
    node_class = yaml.safe_load_all((DATA / "right" / "ec2nodeclass-full.yaml").read_text())
    [short] = [each for each in node_class if each["metadata"]["name"] == "short"]
    kept = {}
    for manifest in (pool, short):
        file = tmp_path / "manifest.json"
        file.write_text(json.dumps(manifest))
        kept[manifest["kind"]] = json.loads(dry_run(with_crds, file).stdout)
    assert kept["NodePool"]["spec"]["disruption"] == {
        "consolidateAfter": "0s",
        "consolidationPolicy": "WhenEmptyOrUnderutilized",
        "budgets": [{"nodes": "10%"}],
    }
    read, wanted = NODE_POOL.decode(kept["NodePool"]), decode_node_pool(pool)
    assert (read.disruption, read.expire_after, read.static_hash) == (
        wanted.disruption,
        wanted.expire_after,
        wanted.static_hash,
    )
    assert EC2_NODE_CLASS.decode(kept["EC2NodeClass"]).spec == decode_ec2nodeclass(short).spec


def test_people_can_list_them_by_their_short_names(with_crds: ControlPlane) -> None:
    for name in ("ec2nc", "ec2ncs", "overlays", "cb", "nodepools", "nodeclaim"):
        done = with_crds.kubectl("get", name, "--all-namespaces")
        assert done.returncode == 0, done.stderr
