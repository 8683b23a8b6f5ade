"""Run folders of scenarios and say where the answers fall short of those that another planner gave.

    python -m tools.conformance FOLDER... [-k PART]

What a scenario is, and what agreement means: `tools/scenarios.py`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nodesmith.decide.schedule.solve import schedule
from tools.scenarios import judge, scenarios


def main() -> int:
    """Print each scenario that falls short and a summary; the exit status is 1 if any does."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("-k", dest="part", default="", help="only scenarios whose name has this in it")
    arguments = parser.parse_args()
    short, ratios, total = 0, [], 0
    for scenario in scenarios(arguments.folders):
        if scenario.verb != "schedule" or arguments.part not in scenario.name:
            continue
        problem = scenario.problem()
        verdict = judge(scenario, problem, schedule)
        total += 1
        if verdict.peer_price:
            ratios.append(verdict.price / verdict.peer_price)
        if verdict.shortcomings:
            short += 1
            print(f"{scenario.name}: {len(problem.pods)} pods, {verdict.seconds * 1000:.0f} ms")
            print("".join(f"    {line}\n" for line in verdict.shortcomings[:6]), end="")
    mean = sum(ratios) / len(ratios) if ratios else 1.0
    print(f"{total} scenarios, {short} fall short, price {mean:.4f} of the peer's on average")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
