"""The main job on a cluster in memory: pods pend, machines appear, pods run, machines leave."""

import json
from datetime import timedelta
from io import StringIO

from nodesmith.adapters.telemetry.logs import json_log
from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool

SAID = (
    "found provisionable pod(s)",
    "computed new nodeclaim(s) to fit pod(s)",
    "created nodeclaim",
    "launched nodeclaim",
    "registered nodeclaim",
    "initialized nodeclaim",
    "disrupting node(s)",
    "tainted node",
    "deleted node",
    "deleted nodeclaim",
)
"""What people look for in the log (spec 8.1), in the order of a node's life."""


def test_pods_get_machines_and_empty_machines_leave() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled():
            world.app("web", 12)
            await world.until(world.all_running, within=timedelta(minutes=3))
            assert world.machines()
            assert len(world.machines()) == len(world.claims()) == len(world.nodes())
            world.app("web", 0)
            await world.until(lambda: not world.machines() and not world.nodes() and not world.claims())

    run(story)


def test_the_log_says_it_in_upstreams_words_and_which_decision_it_was() -> None:
    async def story(clock: VirtualClock) -> None:
        world, written = SmallWorld(clock), StringIO()
        world.log = json_log(written, clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled():
            world.app("web", 12)
            await world.until(world.all_running, within=timedelta(minutes=3))
            world.app("web", 0)
            await world.until(lambda: not world.machines() and not world.nodes() and not world.claims())
        lines = [json.loads(line) for line in written.getvalue().splitlines()]
        first = [next(at for at, line in enumerate(lines) if line["message"].startswith(said)) for said in SAID]
        assert first == sorted(first)
        found, computed, created = (lines[at] for at in first[:3])
        assert found["Pods"].endswith("and 7 other(s)")
        assert found["Pods"].count("default/web-") == 5
        assert created["decision"] == computed["decision"]
        assert len([line for line in lines if "plan" in line and line["decision"] == computed["decision"]]) == 1

    run(story)
