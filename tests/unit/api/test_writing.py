"""A snapshot that is written and read again is the same to every decision."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from nodesmith.api.catalog import catalogue_to_json, load_catalogue
from nodesmith.api.documents import read_documents
from nodesmith.api.manifests import assemble
from nodesmith.api.nodepool import decode_node_pool
from nodesmith.api.writing import manifests_of
from nodesmith.api.writing.karpenter import node_pool
from nodesmith.state.snapshot import Snapshot
from tools.scenarios import Scenario, scenarios

DATA: Final = Path(__file__).parents[2] / "scenario" / "data"
ALL: Final = list(scenarios([DATA]))[::4]


def again(snapshot: Snapshot, **how: Any) -> Snapshot:
    how.setdefault("to_place", {pod.key for pod in snapshot.pods if pod.is_provisionable})
    written = json.dumps(manifests_of(snapshot, **how))
    loaded = assemble(read_documents(written, "objects.json"), now=snapshot.taken_at)
    assert not loaded.faults
    return loaded.snapshot


@pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: scenario.name)
def test_what_is_written_is_read_again(scenario: Scenario) -> None:
    snapshot = scenario.problem().snapshot
    read = again(snapshot)
    assert read.pods == snapshot.pods
    assert read.daemonsets == snapshot.daemonsets
    assert read.pools == snapshot.pools
    assert read.storage == snapshot.storage
    assert read.budgets == snapshot.budgets
    assert read.namespaces == snapshot.namespaces
    assert read.nodes == snapshot.nodes


@pytest.mark.parametrize("field", [None, "labels", "annotations", "taints", "startupTaints"])
def test_a_part_that_is_empty_is_hashed_and_so_written_as_empty(field: str | None) -> None:
    named: dict[str, Any] = {field: {}} if field in {"labels", "annotations"} else {}
    listed: dict[str, Any] = {field: []} if field in {"taints", "startupTaints"} else {}
    reference = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"}
    template = {"metadata": named, "spec": {"requirements": [], "nodeClassRef": reference, **listed}}
    pool = decode_node_pool({"metadata": {"name": "default"}, "spec": {"template": template}})
    assert decode_node_pool(node_pool(pool)) == pool
    assert (pool.static_hash == decode_node_pool(node_pool(replace(pool, static_hash=""))).static_hash) == (not field)


def test_nodes_that_are_to_leave_are_written_as_leaving() -> None:
    snapshot = next(s for s in (each.problem().snapshot for each in ALL) if len(s.nodes) > 1)
    first = snapshot.nodes[0].name
    read = again(snapshot, leaving={first})
    assert [node.name for node in read.nodes if node.is_deleting] == [first]


def test_pods_that_are_not_asked_about_do_not_wait() -> None:
    snapshot = ALL[0].problem().snapshot
    waiting = [pod.key for pod in snapshot.pods if pod.is_provisionable]
    read = again(snapshot, to_place=waiting[:1])
    assert [pod.key for pod in read.pods if pod.is_provisionable] == waiting[:1]


def test_a_catalogue_of_pools_that_differ_is_read_again(tmp_path: Path) -> None:
    types = next(iter(ALL[0].problem().catalog.values()))
    offered = {"large": types[1:], "small": types[:1]}
    file = tmp_path / "catalog.json"
    file.write_text(json.dumps(catalogue_to_json(offered)))
    read = load_catalogue(file)
    assert {name: read.of(name) for name in offered} == {name: tuple(each) for name, each in offered.items()}
    assert read.of("another") == ()
