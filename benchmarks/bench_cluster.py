"""What the controller costs when a large cluster is at rest: a real control plane, kwok, `nodesmith run`.

    nice -n 10 python benchmarks/bench_cluster.py [--nodes 1000] [--pods 20000] [--seconds 120]

Builds nothing: `make e2e` has built the control plane before. Nodes, NodeClaims and bound pods are made as a Karpenter
would have left them, with an instance in the box behind each; kwok keeps nodes and pods alive. Then nodesmith takes
them over, and its process is measured from outside (/proc), with a scrape of its metrics every 30 s. Exit code 1 when a
bound does not hold, or when a node was touched.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nodesmith.api.kinds import EC2_NODE_CLASS, NODE, NODE_CLAIM, NODE_POOL, POD
from nodesmith.model.labels import NODEPOOL_HASH, NODEPOOL_HASH_VERSION
from tests.e2e.mirror import as_written, condition, is_true
from tests.e2e.stage import REGION, Stage, open_stage
from tests.e2e.yard import needs, node_class
from tools.controlplane import build

TYPE: Final = "m7g.2xlarge"
NAME: Final = "rest"
AT_ONCE: Final = 32
SCRAPE_EVERY_S: Final = 30.0
SETTLE_S: Final = 60.0
MOST_CORES: Final = 0.3
MOST_MIB: Final = 400.0
CONDITIONS: Final = ("Launched", "Registered", "Initialized", "Ready")
OFFERED: Final = {"cpu": "8", "memory": "31500Mi", "pods": "58", "ephemeral-storage": "20Gi"}
ALLOCATABLE: Final = {**OFFERED, "cpu": "7910m", "memory": "29800Mi"}


@dataclass(frozen=True, slots=True)
class Result:
    """Steady cost, and how long taking over took."""

    nodes: int
    pods: int
    ready_s: float
    cores: float
    resident_mib: float
    peak_mib: float
    scrape_s: float
    scrape_mib: float
    nodes_touched: int


def pool() -> dict[str, Any]:
    """The NodePool; machines are as full as they can be, so that nothing is to be saved."""
    template = {
        "spec": {
            "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": NAME},
            "requirements": [
                needs("node.kubernetes.io/instance-type", TYPE),
                needs("karpenter.sh/capacity-type", "on-demand"),
            ],
            "expireAfter": "Never",
        }
    }
    spec = {"template": template, "disruption": {"consolidateAfter": "30s"}}
    return {"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": NAME}, "spec": spec}


def prepare(stage: Stage) -> dict[str, Any]:
    """The class and the pool are there, and looked at; returns the class. No controller runs afterwards."""
    stage.controller.start()
    stage.controller.wait_until_leading()
    stage.apply(node_class(NAME, stage), pool())

    def is_looked_at() -> bool:
        found = stage.mirror.get(EC2_NODE_CLASS, NAME), stage.mirror.get(NODE_POOL, NAME)
        return all(each is not None and is_true(each, "Ready") for each in found)

    stage.wait(is_looked_at, within_s=120)
    stage.controller.terminate()
    found = stage.mirror.get(EC2_NODE_CLASS, NAME)
    assert found is not None  # noqa: S101 - it was there a moment ago
    return dict(found)


def image_of(class_: dict[str, Any]) -> str:
    """The class's image for plain ARM machines."""
    plain = [each for each in class_["status"]["amis"] if "nvidia" not in each["name"] and "neuron" not in each["name"]]
    return str(next(each for each in plain if "arm64" in json.dumps(each["requirements"]))["id"])


def instances(stage: Stage, class_: dict[str, Any], count: int) -> list[tuple[str, str]]:
    """So many instances run, as a fleet of the class would have them; their ids and zones."""
    status, ec2, found = class_["status"], stage.aws("ec2"), list[tuple[str, str]]()
    tags = {f"kubernetes.io/cluster/{stage.names.cluster}": "owned", "karpenter.sh/nodepool": NAME}
    tags |= {"eks:eks-cluster-name": stage.names.cluster, "karpenter.k8s.aws/ec2nodeclass": NAME}
    while len(found) < count:
        subnet = status["subnets"][len(found) // 50 % len(status["subnets"])]
        launched = ec2.run_instances(
            ImageId=image_of(class_),
            InstanceType=TYPE,
            MinCount=min(50, count - len(found)),
            MaxCount=min(50, count - len(found)),
            SubnetId=subnet["id"],
            SecurityGroupIds=[each["id"] for each in status["securityGroups"]],
            TagSpecifications=[
                {"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
            ],
        )
        found += [(each["InstanceId"], subnet["zone"]) for each in launched["Instances"]]
    return found


def labels_of(number: int, zone: str) -> dict[str, str]:
    """What Karpenter labels a node with, as far as rules look at it."""
    return {
        "karpenter.sh/nodepool": NAME,
        "karpenter.sh/capacity-type": "on-demand",
        "karpenter.k8s.aws/ec2nodeclass": NAME,
        "node.kubernetes.io/instance-type": TYPE,
        "topology.kubernetes.io/zone": zone,
        "topology.kubernetes.io/region": REGION,
        "kubernetes.io/arch": "arm64",
        "kubernetes.io/os": "linux",
        "kubernetes.io/hostname": f"rest-{number:05d}",
        "karpenter.sh/registered": "true",
        "karpenter.sh/initialized": "true",
    }


class Population:
    """Makes nodes, claims and pods, a few at a time."""

    def __init__(self, stage: Stage, class_: dict[str, Any]) -> None:
        self._stage = stage
        found = stage.mirror.get(NODE_POOL, NAME)
        assert found is not None  # noqa: S101 - it was there a moment ago
        annotations = found["metadata"]["annotations"]
        self._annotations = {key: annotations[key] for key in (NODEPOOL_HASH, NODEPOOL_HASH_VERSION)}
        self._image = image_of(class_)

    async def node(self, number: int, instance: str, zone: str) -> None:
        """The Node and its NodeClaim, with what they report."""
        cluster, name, labels = self._stage.cluster, f"rest-{number:05d}", labels_of(number, zone)
        provider_id = f"aws:///{zone}/{instance}"
        metadata = {"name": name, "labels": labels, "finalizers": ["karpenter.sh/termination"]}
        annotated = {**metadata, "annotations": self._annotations}
        await cluster.create(as_written(NODE), {"metadata": annotated, "spec": {"providerID": provider_id}})
        reported = {"capacity": OFFERED, "allocatable": ALLOCATABLE}
        await cluster.patch(as_written(NODE), name, {"status": reported}, subresource="status")
        template = pool()["spec"]["template"]["spec"]
        await cluster.create(as_written(NODE_CLAIM), {"metadata": annotated, "spec": template})
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        conditions = [
            {"type": each, "status": "True", "reason": each, "message": "", "lastTransitionTime": now}
            for each in CONDITIONS
        ]
        status = {"providerID": provider_id, "nodeName": name, "imageID": self._image, "conditions": conditions}
        await cluster.patch(as_written(NODE_CLAIM), name, {"status": {**status, **reported}}, subresource="status")

    async def pod(self, number: int, nodes: int, share_milli: int) -> None:
        """A pod that is bound."""
        workload = number % 400
        container = {
            "name": "app",
            "image": "example/app:1",
            "resources": {"requests": {"cpu": f"{share_milli}m", "memory": "256Mi"}},
            "env": [{"name": f"SETTING_{each}", "value": "something of a usual length"} for each in range(8)],
        }
        manifest = {
            "metadata": {
                "name": f"service-{workload}-{number:06d}",
                "namespace": "default",
                "labels": {"app": f"{workload}"},
            },
            "spec": {"nodeName": f"rest-{number % nodes:05d}", "containers": [container]},
        }
        await self._stage.cluster.create(as_written(POD), manifest)


async def all_of(works: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """All are done, a few at a time."""
    waiting = iter(list(works))

    async def work() -> None:
        for each in waiting:
            await each()

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())


def populate(stage: Stage, nodes: int, pods: int) -> None:
    """The cluster is as a Karpenter left it, and at rest."""
    class_ = prepare(stage)
    made, population = instances(stage, class_, nodes), Population(stage, class_)
    share_milli = 7800 * nodes // pods
    numbered = [(number, *each) for number, each in enumerate(made)]
    stage.loop.call(all_of([partial(population.node, *each) for each in numbered]))
    print("nodes are there", flush=True)
    stage.loop.call(all_of([partial(population.pod, number, nodes, share_milli) for number in range(pods)]))
    print("pods are there", flush=True)
    stage.wait(lambda: _running(stage) == pods, within_s=1800, what="all pods run")


def _running(stage: Stage) -> int:
    return sum(each.get("status", {}).get("phase") == "Running" for each in stage.mirror.all(POD))


def measure(stage: Stage, seconds: float) -> Result:
    """Take over, come to rest, and look from outside."""
    nodes, pods = len(stage.mirror.all(NODE)), len(stage.mirror.all(POD))
    began, times = time.monotonic(), len(stage.controller.said("became leader"))
    stage.controller.start()
    stage.controller.wait_until_leading(times=times + 1)
    ready_s = time.monotonic() - began
    time.sleep(SETTLE_S)  # noqa: TID251 - it is to come to rest
    assert stage.controller.process is not None  # noqa: S101 - it was started
    pid = stage.controller.process.pid
    before, at, scrapes, text = cpu_s(pid), time.monotonic(), [0.0], ""
    while time.monotonic() - at < seconds:
        asked = time.monotonic()
        text = scrape(stage.controller.metrics_port) or text
        scrapes.append(time.monotonic() - asked)
        time.sleep(SCRAPE_EVERY_S)  # noqa: TID251 - another process is looked at
    cores = (cpu_s(pid) - before) / (time.monotonic() - at)
    left = stage.mirror.all(NODE)
    touched = nodes - len(left) + sum("karpenter.sh/" in str(each["spec"].get("taints")) for each in left)
    return Result(
        nodes,
        pods,
        ready_s,
        cores,
        memory_mib(pid, "VmRSS"),
        memory_mib(pid, "VmHWM"),
        max(scrapes),
        len(text) / 2**20,
        touched,
    )


def scrape(port: int) -> str:
    """All metrics, however long a busy machine takes."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        return str(answer.read().decode())


def cpu_s(pid: int) -> float:
    """CPU seconds of the process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int, what: str) -> float:
    """A line of the process's status, in MiB."""
    [line] = [each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith(what)]
    return int(line.split()[1]) / 1024


def reason_of(claim: Mapping[str, Any]) -> str:
    """Why the claim has drifted; empty where it has not."""
    return str(condition(claim, "Drifted").get("reason", ""))


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--pods", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=120.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, open_stage(build.home() / "bin", Path(folder)) as stage:
        populate(stage, given.nodes, given.pods)
        result = measure(stage, given.seconds)
        drifted = Counter(reason_of(each) for each in stage.mirror.all(NODE_CLAIM))
        complaints = [line for line in stage.controller.lines() if line.get("level") in {"WARN", "ERROR"}]
    print(json.dumps({name: round(value, 2) for name, value in asdict(result).items()}, indent=2))
    print(f"drifted: {dict(drifted)}")
    print(f"warnings and errors in the log: {len(complaints)}", *map(str, complaints[-3:]), sep="\n")
    return 1 if result.cores > MOST_CORES or result.resident_mib > MOST_MIB or result.nodes_touched else 0


if __name__ == "__main__":
    sys.exit(main())
