"""Kubelets of a real cluster, tried on one in memory: they come when instances do, and fall silent with them."""

import asyncio
import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from nodesmith.adapters.aws.blocking import run_inline
from nodesmith.adapters.memory.cluster import MemoryCluster
from nodesmith.adapters.memory.faults import Faults
from nodesmith.adapters.memory.server import ApiServer
from nodesmith.api.kinds import CONFIG_MAP, CSI_NODE, NODE
from nodesmith.model.labels import HOSTNAME, INSTANCE_TYPE, ZONE
from nodesmith.model.taints import UNREGISTERED
from nodesmith.ports.log import NoLog
from nodesmith.sim.clock import VirtualClock, run
from nodesmith.sim.live.joining import AwsAuth, Joining
from nodesmith.sim.world.hosts import Host, Registration, TurnedAway

HOST = Host("i-1", "aws:///zone-a/i-1", "ip-10-0-0-1.compute.internal")


class ThreeLines:
    """Hosts as a test says they are."""

    def __init__(self) -> None:
        self.up: dict[str, Host] = {}
        self.is_let_in = True

    def running(self) -> Mapping[str, Host]:
        return dict(self.up)

    def exists(self, provider_id: str) -> bool:
        return any(host.provider_id == provider_id for host in self.up.values())

    def register(self, host: Host) -> Registration | TurnedAway:
        if not self.is_let_in:
            return TurnedAway("Unauthorized")
        return Registration(
            labels={"team": "a"},
            taints=(UNREGISTERED,),
            capacity={"cpu": 2000, "pods": 17},
            allocatable={"cpu": 1900, "pods": 17},
            cloud_labels={INSTANCE_TYPE: "t4g.medium", ZONE: "zone-a"},
        )


class Bench:
    def __init__(self, clock: VirtualClock, *, faults: Faults | None = None) -> None:
        self.server = ApiServer(clock.now, random.Random(1))
        self.cluster = MemoryCluster(self.server, clock, faults=faults)
        self.hosts = ThreeLines()
        self.auth = AwsAuth(self.cluster)
        self.joining = Joining(self.hosts, self.cluster, self.auth, clock, NoLog(), run_inline)
        self.clock = clock

    async def later(self, seconds: float) -> None:
        await self.clock.sleep(timedelta(seconds=seconds))

    def node(self) -> Any:
        return self.server.find(NODE, HOST.name)


def test_an_instance_becomes_a_node_and_leaves_one_that_does_not_answer() -> None:
    async def story(clock: VirtualClock) -> None:
        bench = Bench(clock)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(bench.joining.run())
            bench.hosts.up[HOST.instance_id] = HOST
            await bench.later(1.1)
            node = bench.node()
            assert node["spec"]["providerID"] == HOST.provider_id
            assert {"karpenter.sh/unregistered", "node.cloudprovider.kubernetes.io/uninitialized"} <= {
                taint["key"] for taint in node["spec"]["taints"]
            }
            assert [each["status"] for each in node["status"]["conditions"]] == ["False"]
            assert bench.server.find(CSI_NODE, HOST.name) is not None
            await bench.later(1)
            node = bench.node()
            assert "node.cloudprovider.kubernetes.io/uninitialized" not in {
                taint["key"] for taint in node["spec"]["taints"]
            }
            labels = node["metadata"]["labels"]
            assert (labels["team"], labels[HOSTNAME], labels[INSTANCE_TYPE]) == ("a", HOST.name, "t4g.medium")
            bench.hosts.up.clear()
            await bench.later(4)
            assert [each["status"] for each in bench.node()["status"]["conditions"]] == ["Unknown"]
            await bench.later(5)
            assert bench.node() is None
            assert bench.server.find(CSI_NODE, HOST.name) is None
            task.cancel()

    run(story)


def test_who_is_not_let_in_never_becomes_a_node() -> None:
    async def story(clock: VirtualClock) -> None:
        bench = Bench(clock)
        bench.hosts.is_let_in = False
        async with asyncio.TaskGroup() as group:
            task = group.create_task(bench.joining.run())
            bench.hosts.up[HOST.instance_id] = HOST
            await bench.later(10)
            bench.hosts.up.clear()
            await bench.later(10)
            assert bench.node() is None
            task.cancel()

    run(story)


def test_aws_auth_is_what_it_was_when_it_was_read() -> None:
    async def story(clock: VirtualClock) -> None:
        bench = Bench(clock)
        await bench.auth.read()
        assert bench.auth.find(CONFIG_MAP, "aws-auth", namespace="kube-system") is None
        auth = {"metadata": {"name": "aws-auth", "namespace": "kube-system"}, "data": {"mapRoles": "[]"}}
        await bench.cluster.create(CONFIG_MAP, auth)
        await bench.auth.read()
        found = bench.auth.find(CONFIG_MAP, "aws-auth", namespace="kube-system")
        assert found is not None
        assert found["data"] == {"mapRoles": "[]"}
        assert bench.auth.find(CONFIG_MAP, "another", namespace="kube-system") is None

    run(story)
