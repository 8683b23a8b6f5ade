"""The CRDs on a real API server: it takes what lint takes, refuses what lint refuses, and fills in what decoders do."""

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodesmith.adapters.clock import RealClock
from nodesmith.adapters.kubernetes import kubeconfig
from nodesmith.adapters.kubernetes.requests import create, patch
from nodesmith.adapters.kubernetes.transport import Transport
from nodesmith.api.ec2nodeclass import decode_ec2nodeclass
from nodesmith.api.kinds import EC2_NODE_CLASS, NODE_POOL
from nodesmith.api.nodepool import decode_node_pool
from nodesmith.api.served import BY_KIND_NAME
from nodesmith.ports.errors import Refused
from tests.e2e.controlplane import ControlPlane
from tests.unit.api.field_cases import BASES, Case, cases

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


@pytest.mark.parametrize("kind", BASES)
async def test_it_judges_every_field_as_lint_does(with_crds: ControlPlane, kind: str) -> None:
    at_once = asyncio.Semaphore(8)

    async def is_misjudged(transport: Transport, case: Case) -> bool:
        asked = create(BY_KIND_NAME[kind].kind, case.manifest, dry_run=True)
        asked = replace(asked, query={**asked.query, "fieldValidation": "Strict"})
        async with at_once:
            try:
                await transport.send(asked)
            except Refused:
                return case.is_right or case.is_only_lint
            return not (case.is_right or case.is_only_lint)

    tried = list(cases(kind))
    async with (
        Transport(kubeconfig.load([with_crds.kubeconfig]), RealClock()) as transport,
        asyncio.TaskGroup() as group,
    ):
        judged = [(case.name, group.create_task(is_misjudged(transport, case))) for case in tried]
    assert [name for name, task in judged if task.result()] == []


CHANGES = [
    ("NodePool", {"template": {"spec": {"nodeClassRef": {"name": "other"}}}}, True),
    ("NodePool", {"template": {"spec": {"nodeClassRef": {"group": "other"}}}}, False),
    ("NodePool", {"template": {"spec": {"nodeClassRef": {"kind": "Other"}}}}, False),
    ("NodePool", {"replicas": 3}, False),
    ("NodePool", {"weight": 3}, True),
    ("NodeClaim", {"expireAfter": "1h"}, False),
    ("NodeClaim", {"nodeClassRef": {"name": "other"}}, False),
    ("EC2NodeClass", {"role": None, "instanceProfile": "profile"}, True),
    ("EC2NodeClass", {"instanceProfile": "profile"}, False),
]


async def test_some_fields_cannot_be_changed(with_crds: ControlPlane) -> None:
    async with Transport(kubeconfig.load([with_crds.kubeconfig]), RealClock()) as transport:
        for kind, (api_version, spec, _) in BASES.items():
            manifest = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "changed"}, "spec": spec}
            await transport.send(create(BY_KIND_NAME[kind].kind, manifest))
        for kind, change, is_allowed in CHANGES:
            asked = patch(BY_KIND_NAME[kind].kind, "changed", {"spec": change}, dry_run=True)
            if is_allowed:
                await transport.send(asked)
            else:
                with pytest.raises(Refused):
                    await transport.send(asked)


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
