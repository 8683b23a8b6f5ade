"""A small cluster in manifests and a catalogue of two types, as files."""

from __future__ import annotations

import json
from pathlib import Path

MANIFESTS = """\
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: default}
spec:
  template:
    spec:
      nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: default}
      requirements:
      - {key: kubernetes.io/arch, operator: In, values: [arm64]}
---
apiVersion: v1
kind: Node
metadata: {name: old, labels: {kubernetes.io/arch: amd64, topology.kubernetes.io/zone: a}}
status:
  allocatable: {cpu: "2", memory: 4Gi, pods: "10"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {kubernetes.io/arch: arm64}
      containers: [{name: main, image: web, resources: {requests: {cpu: 1500m, memory: 1Gi}}}]
---
apiVersion: v1
kind: Pod
metadata: {name: small, namespace: default}
spec:
  containers: [{name: main, image: small, resources: {requests: {cpu: 500m, memory: 256Mi}}}]
"""
HUGE = """\
apiVersion: v1
kind: Pod
metadata: {name: huge, namespace: default}
spec:
  containers: [{name: main, image: huge, resources: {requests: {cpu: "64", memory: 256Gi}}}]
"""


def _kind(name: str, cpu: int, on_demand: float, spot: float, *, has_spot: bool) -> dict[str, object]:
    return {
        "name": name,
        "requirements": [
            {"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]},
            {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]},
        ],
        "capacity": {"cpu": str(cpu), "memory": f"{4 * cpu}Gi", "pods": "35"},
        "overhead": {"kubeReserved": {"cpu": "70m", "memory": "640Mi"}},
        "offerings": [
            {"zone": "a", "capacityType": "on-demand", "price": on_demand, "available": True},
            {"zone": "b", "capacityType": "spot", "price": spot, "available": has_spot},
        ],
    }


def write(folder: Path, *, more: str = "") -> list[str]:
    """The files in the folder, and the arguments that name them."""
    manifests, catalog = folder / "manifests.yaml", folder / "catalog.json"
    manifests.write_text(f"{MANIFESTS}---\n{more}" if more else MANIFESTS)
    types = [_kind("t4g.large", 2, 0.083, 0.03, has_spot=True), _kind("t4g.xlarge", 4, 0.166, 0.055, has_spot=False)]
    catalog.write_text(json.dumps({"instanceTypes": types}))
    return ["-f", str(manifests), "--catalog", str(catalog)]
