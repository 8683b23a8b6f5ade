"""Soaks seeded worlds in faults and checks that no law is broken: `make soak SEEDS=100`, one seed after the other.

A seed that fails prints what was broken, and one line that runs it again.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from time import process_time

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.functional.soak.size import FULL, SMALL
from tests.functional.soak.soak import Report, soak


def main() -> int:
    """Soak; the exit code is 1 when a law was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--hours", type=float, default=24, help="of virtual time, before the hour of peace")
    parser.add_argument("--plain", action="store_true", help="plan with the plain greedy, as `make test` does")
    parser.add_argument("--small", action="store_true", help="in small worlds, where every trouble happens as well")
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    failed = 0
    seen: Counter[str] = Counter()
    os.nice(10)
    with ProcessPoolExecutor(arguments.jobs, initializer=gc.freeze) as pool:
        every = (repeat(arguments.hours), repeat(arguments.plain), repeat(arguments.small))
        for line, report in pool.map(run_one, seeds, *every):
            print(line, flush=True)
            failed += report is None
            seen.update(report.seen if report is not None else {})
    print("judged: " + ", ".join(f"{count} x {law}" for law, count in sorted(seen.items())))
    print(f"{len(seeds)} seeds, {failed} failed")
    return 1 if failed else 0


def run_one(
    seed: int,
    hours: float,
    is_plain: bool,  # noqa: FBT001 - mapped over processes
    is_small: bool,  # noqa: FBT001 - mapped over processes
) -> tuple[str, Report | None]:
    """What to tell of the seed, and its report unless a law was broken."""
    started = process_time()
    try:
        report = soak(seed, hours=hours, is_plain=is_plain, size=SMALL if is_small else FULL)
    except Exception as error:  # noqa: BLE001 - whatever it was, the seed has to be told
        causes = "\n".join(str(cause) for cause in _causes(error))
        notes = "\n".join(getattr(error, "__notes__", ()))
        plain = " --plain" if is_plain else ""
        small = " --small" if is_small else ""
        replay = f"make soak SEEDS=1 ARGS='--first {seed} --hours {hours:g}{plain}{small}'"
        return f"{causes}\n{notes}\nseed {seed} FAILED; again: {replay}", None
    moves = ", ".join(f"{count} {name}" for name, count in sorted(report.commands.items())) or "no commands"
    took = process_time() - started
    return f"seed {seed}: {report.machines} machines, {report.crashes} crashes, {moves} ({took:.1f} s of CPU)", report


def _causes(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _causes(each)
    else:
        yield error


if __name__ == "__main__":
    sys.exit(main())
