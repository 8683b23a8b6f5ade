"""How many pods come to the node that was bought for them, when the API server is slow and all nodes come up at once.

    python benchmarks/bench_names.py [--each 60] [--write-ms 4]

Five Deployments in the simulated cluster, in virtual time; the API server does one patch at a time. Printed are counts,
which are the same on every machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from nodesmith.adapters.memory.cluster import MemoryCluster  # noqa: E402 - the path is set above: it runs from anywhere
from nodesmith.decide.lifecycle.newclaim import planned_pods  # noqa: E402
from nodesmith.sim.clock import VirtualClock, run  # noqa: E402
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool  # noqa: E402

SIZES: Final = (("250m", "512Mi"), ("500m", "1Gi"), ("900m", "3500Mi"), ("1500m", "2Gi"), ("2", "7Gi"))


@dataclass
class Slow:
    """Patches, one at a time, and how many there were of pods."""

    clock: VirtualClock
    takes: timedelta
    of_pods: int = 0

    def install(self) -> None:
        """Every cluster in memory is as slow from now on."""
        gate, patch = asyncio.Lock(), MemoryCluster.patch

        async def slow(cluster: MemoryCluster, kind: Any, *given: Any, **named: Any) -> Any:
            self.of_pods += kind.name == "Pod"
            async with gate:
                await self.clock.sleep(self.takes)
            return await patch(cluster, kind, *given, **named)

        MemoryCluster.patch = slow  # type: ignore[assignment,method-assign] - for this process


async def measure(clock: VirtualClock, each: int, takes: timedelta) -> dict[str, int]:
    """All pods run; these are the numbers."""
    world, slow = SmallWorld(clock), Slow(clock, takes)
    slow.install()
    world.apply(NODE_CLASS, node_pool(disruption={"consolidateAfter": "Never"}))
    async with world.running(), world.controlled():
        for number, (cpu, memory) in enumerate(SIZES):
            world.app(f"size-{number}", each, cpu=cpu, memory=memory)
        await world.until(world.all_running)
        bought = {claim.node_name: planned_pods(claim) for claim in world.claims()}
        strangers = sum(pod.key not in bought[pod.node_name] for pod in world.pods())
    return {"pods": each * len(SIZES), "nodes": len(bought), "elsewhere": strangers, "patches_of_pods": slow.of_pods}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=60)
    parser.add_argument("--write-ms", type=float, default=4.0)
    given = parser.parse_args()
    print(json.dumps(run(lambda clock: measure(clock, given.each, timedelta(milliseconds=given.write_ms)))))


if __name__ == "__main__":
    main()
