"""Run the box: `python -m nodesmith.sim.aws --port 0` prints one JSON line with its URL, and serves until ended."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import threading

from nodesmith.sim.aws.box import DEFAULT_REGION, Box


def main() -> None:
    """Serve until a signal, or until standard input closes where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m nodesmith.sim.aws", description="AWS in a box on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--seed", type=int, default=0, help="the same seed and the same calls give the same ids")
    parser.add_argument("--region", default=DEFAULT_REGION, help="the region of the environment that is printed")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when the starter is gone")
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with Box(seed=options.seed, region=options.region, port=options.port) as box:
        sys.stdout.write(json.dumps({"url": box.url, "environment": box.environment}) + "\n")
        sys.stdout.flush()
        if options.until_stdin_closes:
            threading.Thread(target=_watch, args=(stop,), daemon=True).start()
        stop.wait()


def _watch(stop: threading.Event) -> None:
    with contextlib.suppress(OSError):
        sys.stdin.read()
    stop.set()


if __name__ == "__main__":
    main()
