"""Scenarios in folders: reading them, and how an answer compares with the one that another planner gave.

A scenario is a folder with manifests, `scenario.json` (`{"verb", "catalog": path}`, and in `options` the policies that
are not the usual ones, `preferencePolicy` and `minValuesPolicy`) and the other planner's answer,
`result.json` or `peer.json.gz`. An answer agrees when it is valid, places every pod that the other one places, and
costs no more (than the median, where the other's cost varies).
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from nodesmith.api.catalog import load_catalog
from nodesmith.api.manifests import load
from nodesmith.decide.schedule.problem import MinValuesPolicy, Options, PreferencePolicy, Problem, pods_to_place
from nodesmith.decide.schedule.validate import Violation, validate
from nodesmith.model.instancetype import InstanceType
from nodesmith.plan.reason import Unplaced
from nodesmith.plan.schedule import SchedulePlan

SAME: Final = 1e-6
"""Prices in answers are rounded: so far apart, relative to their size, they are the same."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One folder."""

    folder: Path
    verb: str
    catalog: Path
    peer: dict[str, Any]
    options: Options = field(default_factory=Options)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def peer_price(self) -> float:
        """What the other planner's answer costs: the median of its runs where they differ."""
        varied = self.peer.get("variation", {}).get("totalPrice", {}).get("median", 0.0)
        return float(varied or self.peer.get("totalPrice") or 0.0)

    def problem(self) -> Problem:
        """What is to be decided."""
        manifests = [path for path in sorted(self.folder.iterdir()) if ".y" in path.name]
        loaded = load(manifests)
        faults = [str(fault) for fault in loaded.faults if fault.is_error]
        if faults:
            raise ValueError(f"{self.name}: {'; '.join(faults)}")
        types = catalog(self.catalog.resolve())
        snapshot = loaded.snapshot
        offered = {pool.name: types for pool in snapshot.pools}
        return Problem(snapshot, offered, pods_to_place(snapshot), options=self.options)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an answer compares: what is wrong with it, whom it leaves out, what it costs."""

    violations: tuple[Violation, ...]
    left_out: tuple[str, ...]
    price: float
    peer_price: float
    seconds: float = 0.0

    @property
    def is_dearer(self) -> bool:
        """Whether it costs more than the other planner's."""
        return self.price > self.peer_price * (1 + SAME) + SAME

    @property
    def shortcomings(self) -> list[str]:
        """Where it does not agree, a line each."""
        lines = [str(violation) for violation in self.violations]
        lines += [f"{key} is left out, the peer places it" for key in self.left_out]
        if self.is_dearer:
            lines.append(f"costs {self.price:.6f}, the peer's {self.peer_price:.6f}")
        return lines


@lru_cache(maxsize=8)
def catalog(path: Path) -> tuple[InstanceType, ...]:
    """The instance types of the file."""
    return load_catalog(path)


def scenarios(folders: Iterable[Path]) -> Iterator[Scenario]:
    """The scenarios in these folders and those below, by name."""
    for folder in folders:
        for file in sorted(folder.rglob("scenario.json")):
            meta = json.loads(file.read_text())
            catalog_file, peer = file.parent / meta["catalog"], _peer(file.parent)
            yield Scenario(file.parent, meta["verb"], catalog_file, peer, _options(meta.get("options", {})))


def judge(scenario: Scenario, problem: Problem, solve: Callable[[Problem], SchedulePlan]) -> Verdict:
    """How our answer compares with the other planner's.

    Where we place more pods than it does, prices are those of the pods that it places.
    """
    started = time.perf_counter()
    plan = solve(problem)
    seconds = time.perf_counter() - started
    placed = {key for key, entry in scenario.peer.get("pods", {}).items() if not entry.get("error")}
    ours = {key for key, place in plan.placements.items() if not isinstance(place, Unplaced)}
    price = plan.price.dollars
    if ours > placed and price > scenario.peer_price:
        price = solve(replace(problem, pods=tuple(pod for pod in problem.pods if pod.key in placed))).price.dollars
    return Verdict(validate(problem, plan), tuple(sorted(placed - ours)), price, scenario.peer_price, seconds)


def _options(stated: dict[str, str]) -> Options:
    return Options(
        preferences=PreferencePolicy(stated.get("preferencePolicy", PreferencePolicy.RESPECT)),
        min_values=MinValuesPolicy(stated.get("minValuesPolicy", MinValuesPolicy.STRICT)),
    )


def _peer(folder: Path) -> dict[str, Any]:
    plain, packed = folder / "result.json", folder / "peer.json.gz"
    if packed.exists():
        return dict(json.loads(gzip.decompress(packed.read_bytes())))
    return dict(json.loads(plain.read_text())) if plain.exists() else {}
