"""How fast plans are made, what they cost, how near that is to the lower bound, and how much memory it takes.

    python benchmarks/bench_schedule.py [--only PART] [--record] [--peer]

All times are this process's own, in seconds of processor time, each input in a process of its own, the collector set as
in the program that is measured:

- `first`, `$ first`: from parsed objects to the first valid plan, with no time to improve it; the best of a few runs.
- `within`, `$ within`: the same with the time to improve it that the controller gives a batch of that size (`given`).
- `steps`, `$/h`: with the steps of improvement that are made where nobody sets a time, as `nodesmith plan` does.
- `valid.`: the part of `first` that goes into validation. `pace`: what a fixed piece of work takes, in milliseconds.

The last columns are ratios: to the baseline in `baseline.json` (`first`, corrected by the pace, and `$/h`), and to
another scheduler's: what it once took on two cores, or with `--peer` what it takes now.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.inputs import Case, Peer, cases  # noqa: E402 - the path is set above: the script runs from anywhere
from benchmarks.peer.build import build, run  # noqa: E402
from nodesmith.app import settle_memory  # noqa: E402
from nodesmith.decide.schedule.allowance import improving_time  # noqa: E402
from nodesmith.decide.schedule.bound import lower_bound  # noqa: E402
from nodesmith.decide.schedule.problem import Problem, TimeIsUp  # noqa: E402
from nodesmith.decide.schedule.solve import schedule  # noqa: E402
from nodesmith.decide.schedule.validate import validate  # noqa: E402
from nodesmith.plan.reason import Unplaced  # noqa: E402
from nodesmith.plan.schedule import SchedulePlan  # noqa: E402

BASELINE: Final = HERE / "baseline.json"
RUNS: Final = 5
LATE: Final = 1.1
"""One decision is held against the best of a few, so that a tenth more is noise."""
HEADER: Final = (
    f"{'input':<26}{'pods':>7}{'nodes':>7}{'first':>8}{'pods/s':>9}{'valid.':>8}{'$ first':>10}"
    f"{'given':>7}{'within':>8}{'$ within':>10}{'steps':>8}{'$/h':>10}{'bound':>10}{'gap':>7}{'MiB':>6}{'pace':>6}"
    f"{'time':>8}{'price':>8}{'peer t':>8}{'peer $':>8}  missed"
)


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured of one input; times in seconds, prices in dollars an hour."""

    pods: int
    nodes: int
    unplaced: int
    violations: int
    first: float
    first_dollars: float
    validation: float
    given: float
    within: float
    within_dollars: float
    steps: float
    dollars: float
    bound: float
    mebibytes: int
    pace: float


@dataclass(frozen=True, slots=True)
class Decision:
    """A plan, what is wrong with it, and how long it took to make and to validate it."""

    plan: SchedulePlan
    violations: int
    planning: float
    validation: float

    @property
    def seconds(self) -> float:
        """The whole decision."""
        return self.planning + self.validation


def decide(problem: Problem, is_time_up: TimeIsUp | None = None) -> Decision:
    """A whole decision."""
    started = time.process_time()
    plan = schedule(problem, is_time_up=is_time_up)
    planned = time.process_time()
    violations = validate(problem, plan)
    return Decision(plan, len(violations), planned - started, time.process_time() - planned)


class Stopwatch:
    """Says whether so much processor time has passed since it was first asked: the controller's goes by the clock."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends: float | None = None

    def __call__(self) -> bool:
        """Whether the time is up."""
        now = time.process_time()
        if self._ends is None:
            self._ends = now + self._seconds
        return now >= self._ends


def measure(case: Case) -> Result:
    """Decide without time, a few times, then with the controller's, then by steps; the bound is found once."""
    problem = case.problem()
    settle_memory()
    paced = pace()
    first = min((decide(problem, lambda: True) for _ in range(RUNS)), key=lambda each: each.seconds)
    given = improving_time(len(problem.pods)).total_seconds()
    within, steps = decide(problem, Stopwatch(given)), decide(problem)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    plan = steps.plan
    placed = {key for key, place in plan.placements.items() if not isinstance(place, Unplaced)}
    return Result(
        pods=len(problem.pods),
        nodes=len(plan.claims),
        unplaced=len(plan.unplaced),
        violations=first.violations + within.violations + steps.violations,
        first=first.seconds,
        first_dollars=first.plan.price.dollars,
        validation=first.validation,
        given=given,
        within=within.seconds,
        within_dollars=within.plan.price.dollars,
        steps=steps.seconds,
        dollars=plan.price.dollars,
        bound=lower_bound(problem, placed).price.dollars,
        mebibytes=peak,
        pace=min(paced, pace()),
    )


def pace() -> float:
    """Seconds for a fixed piece of work, the best of a few: how fast this machine is just now."""
    return min(_timed(_piece_of_work) for _ in range(RUNS))


def _timed(work: Callable[[], None]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _piece_of_work() -> None:
    table: dict[int, int] = {}
    for number in range(400_000):
        table[number % 1009] = table.get(number % 1009, 0) + (number ^ 0x55)


def row(case: Case, found: Result, baseline: dict[str, Any]) -> str:
    """The line for one input."""
    gap = found.dollars / found.bound - 1 if found.bound else 0.0
    line = f"{case.name:<26}{found.pods:>7}{found.nodes:>7}{found.first:>8.2f}{found.pods / found.first:>9.0f}"
    line += f"{found.validation:>8.2f}{found.first_dollars:>10.2f}{found.given:>7.1f}{found.within:>8.2f}"
    line += f"{found.within_dollars:>10.2f}{found.steps:>8.2f}{found.dollars:>10.2f}{found.bound:>10.2f}{gap:>7.1%}"
    line += f"{found.mebibytes:>6}{1000 * found.pace:>6.0f}"
    before = baseline.get(case.name)
    if before is None:
        line += f"{'-':>8}{'-':>8}"
    else:
        time_ratio = (found.first / found.pace) / (before["first"] / before["pace"])
        line += f"{time_ratio:>8.2f}{found.dollars / before['dollars'] if before['dollars'] else 1:>8.3f}"
    if case.peer is None:
        line += f"{'-':>8}{'-':>8}"
    else:
        line += f"{case.peer.seconds / found.first:>7.0f}x{found.dollars / case.peer.dollars:>8.3f}"
    return f"{line}  {', '.join(missed(case, found, gap))}"


def missed(case: Case, found: Result, gap: float) -> list[str]:
    """Which aims the result falls short of."""
    short = []
    if case.most_seconds is not None and found.first > case.most_seconds:
        short.append(f"{case.most_seconds} s")
    if found.within > LATE * (found.given + found.first):
        short.append(f"{found.within - found.given - found.first:.2f} s late")
    if case.most_dollars is not None and found.dollars > case.most_dollars:
        short.append(f"${case.most_dollars}")
    if case.peer is not None and found.first_dollars > case.peer.dollars:
        short.append("first dearer than the peer's")
    if case.most_gap is not None and gap > case.most_gap:
        short.append(f"gap {case.most_gap:.0%}")
    if found.unplaced:
        short.append(f"{found.unplaced} unplaced")
    if found.violations:
        short.append(f"{found.violations} violations")
    return short


def main() -> int:
    """Measure and print; the exit status is 1 when a plan is not valid."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--only", default="", help="only inputs whose name has this in it")
    parser.add_argument("--record", action="store_true", help="make these results the baseline")
    parser.add_argument("--peer", action="store_true", help="run Karpenter's own scheduler on the same inputs")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    chosen = [case for case in cases() if arguments.only in case.name]
    if arguments.case:
        print(json.dumps(asdict(measure(next(case for case in chosen if case.name == arguments.case)))))
        return 0
    peer = build() if arguments.peer else None
    if arguments.peer and peer is None:
        print("the peer cannot be built here (Go, or its modules, are missing): recorded times are used")
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    found, broken = {}, False
    print(HEADER)
    for case in chosen:
        command = [sys.executable, __file__, "--case", case.name]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
        result = Result(**json.loads(answer.stdout))
        if peer is not None and case.files is not None:
            theirs = run(peer, *case.files)
            case = replace(case, peer=None if theirs is None else Peer(theirs.seconds, theirs.dollars))  # noqa: PLW2901 - the same case, its peer measured now
        found[case.name] = {name: round(value, 4) for name, value in asdict(result).items()}
        broken = broken or result.violations > 0
        print(row(case, result, baseline), flush=True)
    if arguments.record:
        BASELINE.write_text(json.dumps(baseline | found, indent=1) + "\n")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
