"""Fifty seeds, each with under half an hour of troubles and the hour of peace, planned plainly; `make soak` takes a day."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.functional.soak.soak import Report
from tools.soak import run_one

HOURS = 0.4
SEEDS = range(50)


def plainly(seed: int) -> tuple[str, Report | None]:
    return run_one(seed, HOURS, is_plain=True, is_small=False)


def test_no_law_is_broken_and_each_had_something_to_judge() -> None:
    """Two worlds at a time: there are two cores."""
    seen: Counter[str] = Counter()
    # New processes, not forks: a fork would take over the locks that threads of other tests hold.
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        for told, report in pool.map(plainly, SEEDS):
            assert report is not None, told
            seen.update(report.seen)
            seen.update(crash=report.crashes)
    judged = {"budget", "crash", "eviction", "limit", "price", "protection", "replacement", "retirement", "termination"}
    assert seen.keys() >= judged
