"""A real API server keeps the contract that the cluster in memory keeps."""

import itertools
import uuid
from typing import Any

import msgspec
import pytest

from nodesmith.adapters.kubernetes import requests
from nodesmith.adapters.kubernetes.cluster import KubernetesCluster
from nodesmith.adapters.kubernetes.requests import Request
from nodesmith.adapters.kubernetes.transport import Transport
from nodesmith.api.kind import Kind
from nodesmith.api.kinds import NAMESPACE, POD
from tests.contract.cluster_contract import ClusterContract
from tests.contract.harness import ClusterHarness
from tests.e2e.controlplane import ControlPlane


class TestKubernetesCluster(ClusterContract):
    @pytest.fixture
    async def harness(self, bare_plane: ControlPlane, bare_transport: Transport) -> ClusterHarness:
        cluster = KubernetesCluster(bare_transport)
        run, number = uuid.uuid4().hex[:8], itertools.count(1)
        namespace = f"contract-{run}"
        await cluster.create(NAMESPACE, {"metadata": {"name": namespace}})

        async def bind(name: str, node: str, *, namespace: str) -> None:
            path = requests.object_path(POD, name, namespace=namespace, subresource="binding")
            body = {
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": {"name": name},
                "target": {"kind": "Node", "name": node},
            }
            await bare_transport.send(
                Request("POST", path, f"bind {name}", body=msgspec.json.encode(body), content_type="application/json")
            )

        async def expire(kind: Kind[Any]) -> str:
            """A version from before the API server started, which its watch cache does not reach back to."""
            bare_plane.kill("kube-apiserver")
            bare_plane.start_apiserver()
            return "1"

        return ClusterHarness(
            cluster=cluster,
            namespace=namespace,
            unique=lambda stem: f"{stem}-{run}-{next(number)}",
            bind=bind,
            expire=expire,
        )
