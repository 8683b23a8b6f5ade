"""Every folder of `examples` is applied to a world, and all its pods run."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from string import Template
from typing import Any

import pytest
import yaml

from nodesmith.adapters.memory.objects import meta
from nodesmith.api.kinds import DEPLOYMENT, NODE, POD, STATEFUL_SET
from nodesmith.model.labels import CAPACITY_TYPE, NODEPOOL, ZONE
from nodesmith.sim.clock import VirtualClock, run
from nodesmith.sim.simulation import Simulation, open_simulation
from nodesmith.sim.world.raw import is_ready

EXAMPLES = Path(__file__).parents[3] / "examples"
FOLDERS = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())


def manifests(folder: str) -> list[dict[str, Any]]:
    texts = [path.read_text() for path in sorted((EXAMPLES / folder).glob("*.yaml"))]
    return [
        document
        for text in texts
        for document in yaml.safe_load_all(Template(text).substitute(CLUSTER_NAME="simulated"))
        if document
    ]


def wanted_pods(simulation: Simulation) -> int:
    server = simulation.base.server
    return sum(each["spec"]["replicas"] for kind in (DEPLOYMENT, STATEFUL_SET) for each in server.list(kind))


def after(folder: str, look: Callable[[Simulation], None]) -> None:
    """Apply the folder, wait until all its pods run, and look."""

    async def main(clock: VirtualClock) -> None:
        async with open_simulation(clock, seed=1) as simulation:
            simulation.world.apply(*manifests(folder))
            wanted = wanted_pods(simulation)
            assert wanted
            assert await simulation.until(
                lambda: sum(is_ready(pod) for pod in simulation.base.server.list(POD)) == wanted,
                within=timedelta(minutes=10),
            )
            look(simulation)

    run(main)


def labels_of_nodes(simulation: Simulation, label: str, app: str) -> list[str]:
    """The node's label for each of the app's pods."""
    server = simulation.base.server
    nodes = {meta(node)["name"]: meta(node)["labels"] for node in server.list(NODE)}
    pods = [pod for pod in server.list(POD) if meta(pod)["labels"].get("app") == app]
    return sorted(nodes[pod["spec"]["nodeName"]][label] for pod in pods)


@pytest.mark.parametrize("folder", FOLDERS)
def test_all_pods_run(folder: str) -> None:
    after(folder, lambda simulation: None)


def test_the_cheap_set_up_buys_burstable_spot() -> None:
    def look(simulation: Simulation) -> None:
        for rented in simulation.cloud.living():
            assert rented.machine.instance_type.startswith("t4g.")
            assert rented.machine.capacity_type == "spot"

    after("cheap", look)


def test_the_service_is_spread_over_the_zones() -> None:
    def look(simulation: Simulation) -> None:
        zones = labels_of_nodes(simulation, ZONE, "api")
        assert {zone: zones.count(zone) for zone in zones} == dict.fromkeys(sorted(set(zones)), 3)
        assert len(set(zones)) == 3

    after("zones", look)


def test_databases_have_a_zone_each() -> None:
    def look(simulation: Simulation) -> None:
        assert len(set(labels_of_nodes(simulation, ZONE, "database"))) == 3
        assert set(labels_of_nodes(simulation, CAPACITY_TYPE, "database")) == {"on-demand"}

    after("stateful", look)


def test_only_what_asks_for_it_runs_on_demand() -> None:
    def look(simulation: Simulation) -> None:
        assert set(labels_of_nodes(simulation, NODEPOOL, "worker")) == {"spot"}
        assert labels_of_nodes(simulation, NODEPOOL, "coordinator") == ["on-demand"]

    after("spot-first", look)
