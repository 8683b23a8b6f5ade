"""Soaks seeded worlds in faults and checks that no law is broken: `make soak SEEDS=100`, one seed after the other.

A seed that fails prints what was broken, and one line that runs it again.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.functional.soak.soak import soak


def main() -> int:
    """Soak; the exit code is 1 when a law was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--hours", type=float, default=24, help="of virtual time, before the hour of peace")
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    failed = 0
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for line, is_broken in pool.map(_one, seeds, [arguments.hours] * len(seeds)):
            print(line, flush=True)
            failed += is_broken
    print(f"{len(seeds)} seeds, {failed} failed")
    return 1 if failed else 0


def _one(seed: int, hours: float) -> tuple[str, bool]:
    os.nice(10)
    started = perf_counter()
    try:
        report = soak(seed, hours=hours)
    except Exception as error:  # noqa: BLE001 - whatever it was, the seed has to be told
        causes = "\n".join(str(cause) for cause in _causes(error))
        notes = "\n".join(getattr(error, "__notes__", ()))
        replay = f"make soak SEEDS=1 ARGS='--first {seed} --hours {hours:g}'"
        return f"{causes}\n{notes}\nseed {seed} FAILED; again: {replay}", True
    moves = ", ".join(f"{count} {name}" for name, count in sorted(report.commands.items())) or "no commands"
    took = perf_counter() - started
    return f"seed {seed}: {report.machines} machines, {report.crashes} crashes, {moves} ({took:.1f} s)", False


def _causes(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _causes(each)
    else:
        yield error


if __name__ == "__main__":
    sys.exit(main())
