"""Run the box with a cluster to join: `python -m nodesmith.sim.live --kubeconfig FILE --cluster NAME`.

As `python -m nodesmith.sim.aws`, it prints one JSON line with its URL, and serves until ended; besides, its instances
become Nodes of the cluster that the kubeconfig leads to, where kwok is to make them Ready and run their pods.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from nodesmith.adapters.aws.blocking import Threads
from nodesmith.adapters.clock import RealClock
from nodesmith.adapters.kubernetes.cluster import KubernetesCluster
from nodesmith.adapters.kubernetes.kubeconfig import Connection, load
from nodesmith.adapters.kubernetes.transport import Transport
from nodesmith.adapters.telemetry.logs import json_log
from nodesmith.sim.aws.box import DEFAULT_REGION, Box
from nodesmith.sim.live.joining import AwsAuth, Joining
from nodesmith.sim.world.boxhosts import BoxHosts


def main() -> None:
    """Serve until a signal, or until standard input closes where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m nodesmith.sim.live", description="AWS in a box, with kubelets.")
    parser.add_argument("--kubeconfig", type=Path, required=True, help="of the cluster that instances join")
    parser.add_argument("--cluster", required=True, help="the name of the cluster in EKS")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--seed", type=int, default=0, help="the same seed and the same calls give the same ids")
    parser.add_argument("--region", default=DEFAULT_REGION, help="the region of the environment that is printed")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when the starter is gone")
    options = parser.parse_args()
    connection = load([options.kubeconfig])
    with Box(seed=options.seed, region=options.region, port=options.port) as box:
        sys.stdout.write(json.dumps({"url": box.url, "environment": box.environment}) + "\n")
        sys.stdout.flush()
        asyncio.run(_live(box, connection, options.cluster, watches_stdin=options.until_stdin_closes))


async def _live(box: Box, connection: Connection, cluster_name: str, *, watches_stdin: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if watches_stdin:
        loop.add_reader(sys.stdin, lambda: stop.set() if not sys.stdin.read(1) else None)
    clock, threads = RealClock(), Threads(4)
    async with Transport(connection, clock, user_agent="kubelets") as transport, asyncio.TaskGroup() as group:
        cluster = KubernetesCluster(transport)
        auth = AwsAuth(cluster)
        hosts = BoxHosts(box, auth, cluster_name)
        joining = Joining(hosts, cluster, auth, clock, json_log(sys.stderr, clock), threads)
        task = group.create_task(joining.run(), name="joining")
        await stop.wait()
        task.cancel()
    threads.close()


if __name__ == "__main__":
    main()
