"""nodesmith in a whole world, with everything that goes wrong: it comes to the same end."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from nodesmith.adapters.memory.faults import Fault, Faults
from nodesmith.adapters.memory.objects import meta
from nodesmith.api.kinds import DEPLOYMENT, EC2_NODE_CLASS, NODE, NODE_CLAIM, NODE_POOL, POD, POD_DISRUPTION_BUDGET
from nodesmith.ports.errors import Conflict, Throttled
from nodesmith.sim.clock import VirtualClock, run
from nodesmith.sim.simulation import Setting, Simulation, open_simulation
from nodesmith.sim.world.market import Market
from nodesmith.sim.world.raw import is_ready
from nodesmith.sim.world.world import Base

MINUTES = [timedelta(minutes=number) for number in range(61)]


def node_class() -> dict[str, Any]:
    found_by = [{"tags": {"karpenter.sh/discovery": "simulated"}}]
    spec = {
        "role": "KarpenterNodeRole-simulated",
        "amiSelectorTerms": [{"alias": "al2023@latest"}],
        "subnetSelectorTerms": found_by,
        "securityGroupSelectorTerms": found_by,
    }
    return {"apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": {"name": "default"}, "spec": spec}


def pool(consolidate_after: str = "1m") -> dict[str, Any]:
    reference = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"}
    spec = {
        "template": {"spec": {"nodeClassRef": reference, "requirements": [], "expireAfter": "Never"}},
        "disruption": {"consolidateAfter": consolidate_after, "consolidationPolicy": "WhenEmptyOrUnderutilized"},
    }
    return {"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "default"}, "spec": spec}


def deployment(name: str, replicas: int, cpu: str = "500m") -> dict[str, Any]:
    container = {"name": "main", "image": "example/app:1", "resources": {"requests": {"cpu": cpu, "memory": "512Mi"}}}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def running(simulation: Simulation, app: str) -> int:
    return sum(
        1
        for pod in simulation.base.server.list(POD)
        if (meta(pod).get("labels") or {}).get("app") == app and is_ready(pod) and "deletionTimestamp" not in meta(pod)
    )


def check_books(simulation: Simulation) -> None:
    """Machines, claims and nodes are the same set: none lost, none doubled."""
    server = simulation.base.server
    claims = Counter(claim["status"]["providerID"] for claim in server.list(NODE_CLAIM))
    nodes = Counter(node["spec"]["providerID"] for node in server.list(NODE))
    machines = Counter(rented.machine.provider_id for rented in simulation.cloud.living())
    assert claims == machines
    assert nodes == machines
    assert not machines or max(machines.values()) == 1


def has_joined(simulation: Simulation) -> bool:
    """Whether every claim has its machine, and every machine is a node."""
    claims = simulation.base.server.list(NODE_CLAIM)
    machines = len(simulation.cloud.living())
    is_launched = all("providerID" in (claim.get("status") or {}) for claim in claims)
    return is_launched and len(claims) == len(simulation.base.server.list(NODE)) == machines


async def grow_and_shrink(simulation: Simulation) -> None:
    server = simulation.base.server
    simulation.world.apply(node_class(), pool(), deployment("web", 12), deployment("api", 5, "900m"))
    assert await simulation.until(
        lambda: running(simulation, "web") == 12 and running(simulation, "api") == 5, within=MINUTES[30]
    )
    # All may run while a machine that was bought for some of them has yet to join, or yet to be launched.
    assert await simulation.until(lambda: has_joined(simulation), within=MINUTES[15])
    check_books(simulation)
    grown = len(simulation.cloud.living())
    server.patch(DEPLOYMENT, "web", {"spec": {"replicas": 1}}, namespace="default")
    server.delete(DEPLOYMENT, "api", namespace="default")
    assert await simulation.until(
        lambda: running(simulation, "web") == 1 and len(simulation.cloud.living()) <= max(1, grown - 1),
        within=MINUTES[30],
    )
    server.delete(DEPLOYMENT, "web", namespace="default")
    assert await simulation.until(
        lambda: not (server.list(NODE_CLAIM) or server.list(NODE) or simulation.cloud.living()), within=MINUTES[60]
    )
    server.delete(NODE_POOL, "default")
    server.delete(EC2_NODE_CLASS, "default")
    assert await simulation.until(lambda: not server.list(EC2_NODE_CLASS), within=MINUTES[10])


def troubled(base: Base) -> Faults:
    """A network and an API server on a bad day."""
    return Faults(
        base.random("faults"),
        Fault(probability=0.05),
        Fault(probability=0.05, verbs={"create", "patch", "delete", "evict"}, after=True),
        Fault(probability=0.03, verbs={"patch"}, error=lambda: Conflict("somebody else was first")),
        Fault(probability=0.03, error=lambda: Throttled("too many requests", retry_after_s=1)),
        latency=(timedelta(milliseconds=5), timedelta(milliseconds=400)),
        watch_lag=timedelta(milliseconds=700),
        watch_cut=0.02,
    )


def troubled_cloud(base: Base) -> Faults:
    """An EC2 on a bad day."""
    return Faults(
        base.random("cloud faults"),
        Fault(probability=0.1, verbs={"create", "delete", "get", "list"}),
        Fault(probability=0.1, verbs={"create", "delete"}, after=True),
        latency=(timedelta(milliseconds=50), timedelta(seconds=3)),
    )


def test_a_quiet_day() -> None:
    async def main(clock: VirtualClock) -> None:
        async with open_simulation(clock, seed=1) as simulation:
            await grow_and_shrink(simulation)

    run(main)


@pytest.mark.parametrize("seed", range(4))
def test_a_bad_day_ends_the_same(seed: int) -> None:
    async def main(clock: VirtualClock) -> None:
        setting = Setting(faults=troubled, cloud_faults=troubled_cloud)
        async with open_simulation(clock, seed=seed, setting=setting) as simulation:
            await grow_and_shrink(simulation)
            assert simulation.metrics.total("controller_runtime_reconcile_errors_total") > 0

    run(main)


@pytest.mark.parametrize("seed", range(3))
def test_restarts_at_any_time_lose_and_double_nothing(seed: int) -> None:
    async def main(clock: VirtualClock) -> None:
        async with open_simulation(clock, seed=seed, setting=Setting(faults=troubled)) as simulation:
            simulation.world.apply(node_class(), pool("0s"), deployment("web", 10))
            chance = simulation.base.random("restarts")
            for _ in range(12):
                await clock.sleep(timedelta(seconds=chance.uniform(0.2, 25)))
                await simulation.stop_controllers()
                await clock.sleep(timedelta(seconds=chance.uniform(0, 5)))
                simulation.start_controllers()
            assert await simulation.until(lambda: running(simulation, "web") == 10, within=MINUTES[20])
            assert await simulation.until(lambda: _are_even(simulation), within=MINUTES[20])
            check_books(simulation)

    run(main)


def _are_even(simulation: Simulation) -> bool:
    server = simulation.base.server
    counts = len(server.list(NODE_CLAIM)), len(server.list(NODE)), len(simulation.cloud.living())
    return len(set(counts)) == 1 and all("deletionTimestamp" not in meta(claim) for claim in server.list(NODE_CLAIM))


def test_a_wild_market_does_not_stop_the_work() -> None:
    async def main(clock: VirtualClock) -> None:
        async with open_simulation(clock, seed=2) as simulation:
            simulation.world.apply(node_class(), pool("30m"), deployment("web", 12, "900m"))
            assert await simulation.until(lambda: running(simulation, "web") == 12, within=MINUTES[10])
            Market(
                simulation.base.engine, simulation.interruptions.spot, simulation.interruptions.interrupt, per_hour=12
            )
            await clock.sleep(timedelta(minutes=25))
            heard = [event for _, event in simulation.events.told if event.reason == "SpotInterrupted"]
            assert len(heard) >= 4
            simulation.interruptions.spot = lambda: ()  # type: ignore[method-assign]  # the market closes
            assert await simulation.until(lambda: running(simulation, "web") == 12, within=MINUTES[10])

    run(main)


def test_a_budget_is_kept_while_machines_leave() -> None:
    async def main(clock: VirtualClock) -> None:
        async with open_simulation(clock, seed=3) as simulation:
            budget = {"selector": {"matchLabels": {"app": "web"}}, "minAvailable": 4}
            simulation.base.server.create(POD_DISRUPTION_BUDGET, {"metadata": {"name": "guard"}, "spec": budget})
            simulation.world.apply(node_class(), pool("30m"), deployment("web", 5, "1500m"))
            assert await simulation.until(lambda: running(simulation, "web") == 5, within=MINUTES[10])
            least = [5]
            simulation.base.server.listen(lambda _: least.append(running(simulation, "web")))
            for node in list(simulation.base.server.list(NODE)):
                simulation.base.server.delete(NODE, meta(node)["name"])
            await clock.sleep(timedelta(minutes=15))
            assert running(simulation, "web") == 5
            assert min(least) == 4
            check_books(simulation)

    run(main)


def test_one_seed_is_one_day() -> None:
    async def main(clock: VirtualClock) -> str:
        setting = Setting(faults=troubled, cloud_faults=troubled_cloud)
        async with open_simulation(clock, seed=5, setting=setting) as simulation:
            await grow_and_shrink(simulation)
            return simulation.base.diary.text

    assert run(main) == run(main)
