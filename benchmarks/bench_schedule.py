"""How fast plans are made, what they cost, how near that is to the lower bound, and how much memory it takes.

    python benchmarks/bench_schedule.py [--only PART] [--record] [--peer]

Times are whole decisions: from parsed objects to a validated plan, the best of a few runs, each input in a process of
its own. The last columns are ratios: to the baseline in `baseline.json` (times corrected by how fast this machine is),
and to another scheduler's: what it once took on two cores, or with `--peer` what it takes now.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.inputs import Case, Peer, cases  # noqa: E402 - the path is set above: the script runs from anywhere
from benchmarks.peer.build import build, run  # noqa: E402
from nodesmith.decide.schedule.bound import lower_bound  # noqa: E402
from nodesmith.decide.schedule.solve import schedule  # noqa: E402
from nodesmith.decide.schedule.validate import validate  # noqa: E402
from nodesmith.plan.reason import Unplaced  # noqa: E402

BASELINE: Final = HERE / "baseline.json"
SHORT_S: Final = 2.0
RUNS: Final = 3
HEADER: Final = (
    f"{'input':<26}{'pods':>7}{'nodes':>7}{'s':>8}{'pods/s':>9}{'valid.':>8}{'$/h':>10}{'bound':>10}{'gap':>7}{'MiB':>6}"
    f"{'time':>8}{'price':>8}{'peer t':>8}{'peer $':>8}  missed"
)


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured of one input."""

    pods: int
    nodes: int
    unplaced: int
    violations: int
    seconds: float
    validate_seconds: float
    dollars: float
    bound: float
    mebibytes: int


def measure(case: Case) -> Result:
    """Decide a few times; the bound and the validation are made once."""
    problem = case.problem()
    fastest, plan = float("inf"), None
    for _ in range(RUNS):
        started = time.perf_counter()
        plan = schedule(problem)
        fastest = min(fastest, time.perf_counter() - started)
        if fastest > SHORT_S:
            break
    assert plan is not None  # noqa: S101 - there is at least one run
    started = time.perf_counter()
    violations = validate(problem, plan)
    validating = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    placed = {key for key, place in plan.placements.items() if not isinstance(place, Unplaced)}
    bound = lower_bound(problem, placed).price.dollars
    counts = (len(problem.pods), len(plan.claims), len(plan.unplaced), len(violations))
    return Result(*counts, fastest + validating, validating, plan.price.dollars, bound, peak)


def pace() -> float:
    """Seconds for a fixed piece of work: how fast this machine is just now."""
    started = time.perf_counter()
    table: dict[int, int] = {}
    for number in range(400_000):
        table[number % 1009] = table.get(number % 1009, 0) + (number ^ 0x55)
    return time.perf_counter() - started


def row(case: Case, found: Result, paced: float, baseline: dict[str, Any]) -> str:
    """The line for one input."""
    gap = found.dollars / found.bound - 1 if found.bound else 0.0
    line = f"{case.name:<26}{found.pods:>7}{found.nodes:>7}{found.seconds:>8.2f}{found.pods / found.seconds:>9.0f}"
    line += f"{found.validate_seconds:>8.2f}{found.dollars:>10.2f}{found.bound:>10.2f}{gap:>7.1%}{found.mebibytes:>6}"
    before = baseline.get("cases", {}).get(case.name)
    if before is None:
        line += f"{'-':>8}{'-':>8}"
    else:
        time_ratio = (found.seconds / paced) / (before["seconds"] / baseline["pace"])
        line += f"{time_ratio:>8.2f}{found.dollars / before['dollars'] if before['dollars'] else 1:>8.3f}"
    if case.peer is None:
        line += f"{'-':>8}{'-':>8}"
    else:
        line += f"{case.peer.seconds / found.seconds:>7.0f}x{found.dollars / case.peer.dollars:>8.3f}"
    return f"{line}  {', '.join(missed(case, found, gap))}"


def missed(case: Case, found: Result, gap: float) -> list[str]:
    """Which aims the result falls short of."""
    short = []
    if case.most_seconds is not None and found.seconds > case.most_seconds:
        short.append(f"{case.most_seconds} s")
    if case.most_dollars is not None and found.dollars > case.most_dollars:
        short.append(f"${case.most_dollars}")
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
    paced, found, broken = min(pace() for _ in range(3)), {}, False
    print(HEADER)
    for case in chosen:
        command = [sys.executable, __file__, "--case", case.name]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
        result = Result(**json.loads(answer.stdout))
        if peer is not None and case.files is not None:
            theirs = run(peer, *case.files)
            case = replace(case, peer=None if theirs is None else Peer(theirs.seconds, theirs.dollars))  # noqa: PLW2901 - the same case, its peer measured now
        found[case.name] = asdict(result)
        broken = broken or result.violations > 0
        print(row(case, result, paced, baseline), flush=True)
    if arguments.record:
        kept = baseline.get("cases", {}) | found
        BASELINE.write_text(json.dumps({"pace": round(paced, 4), "cases": kept}, indent=1) + "\n")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
