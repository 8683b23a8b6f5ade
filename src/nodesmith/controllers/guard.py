"""Nothing is done by a plan that breaks a rule: it is reported, with what it was made from, and a plainer one is tried.

That a plan breaks a rule is a fault of ours, never of the cluster: so it is told loudly, once for each plan.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from nodesmith.api.catalog import catalogue_to_json
from nodesmith.api.writing import manifests_of
from nodesmith.controllers import tell
from nodesmith.controllers.shell import Shell
from nodesmith.decide.schedule.checked import Checked, Solve, checked
from nodesmith.decide.schedule.problem import Problem
from nodesmith.plan.schedule import SchedulePlan
from nodesmith.ports.scenarios import ScenarioNotKept

PROVISIONER: Final = "provisioner"
DISRUPTION: Final = "disruption"
_FAULTS_TOLD: Final = 5


class Guard:
    """Lets plans pass that break no rule. `fallback` is tried where the solver's fails; None: the plain greedy."""

    def __init__(self, shell: Shell, fallback: Solve | None = None) -> None:
        self._shell = shell
        self._fallback = fallback

    async def plan(self, problem: Problem, solve: Solve) -> SchedulePlan | None:
        """A plan that may be acted on, or None; what is wrong with the solver's has been told."""
        result: Checked = await self._shell.run_solver(lambda: checked(problem, solve, self._fallback))
        if not result.is_faultless:
            outcome = "plain greedy" if result.is_fallback else "none"
            pools = result.refused_pools or frozenset(problem.catalog)
            await self.report(problem, result.faults, controller=PROVISIONER, outcome=outcome, pools=pools)
        return result.plan

    async def report(
        self, problem: Problem, faults: Sequence[str], *, controller: str, outcome: str, pools: Collection[str]
    ) -> None:
        """A refused plan has been told: in the log, as a metric, on its NodePools; its scenario is kept."""
        shell = self._shell
        shell.metrics.count("scheduler_refused_plans_total", controller=controller, outcome=outcome)
        where = await shell.run_solver(lambda: self._keep(problem, faults, controller))
        shell.log.error(
            "plan not acted on, it breaks a rule: a fault of nodesmith, please report it with the scenario",
            controller=controller,
            error="; ".join(_shown(faults)),
            instead=outcome,
            scenario=where,
        )
        for pool in problem.snapshot.pools:
            if pool.name in pools:
                shell.events.publish(tell.plan_refused(pool, faults[0]))

    def _keep(self, problem: Problem, faults: Iterable[str], controller: str) -> str:
        """Where the scenario is kept, or why it is not."""
        scenarios = self._shell.scenarios
        if scenarios is None:
            return "not kept: no folder is set"
        name = f"{problem.snapshot.taken_at:%Y%m%dT%H%M%S.%f}-{controller}"
        try:
            return scenarios.keep(name, scenario_of(problem, name, faults))
        except ScenarioNotKept as error:
            return f"not kept: {error}"


def scenario_of(problem: Problem, name: str, faults: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The problem as files: manifests, catalogue, and what it was about."""
    waiting = {pod.key: pod for pod in problem.pods}
    everything = {**{pod.key: pod for pod in problem.snapshot.pods}, **waiting}
    snapshot = replace(problem.snapshot, pods=tuple(everything.values()))
    options = problem.options
    about = {
        "name": name,
        "verb": "schedule",
        "catalog": "catalog.json.gz",
        "faults": list(faults),
        "options": {"preferencePolicy": options.preferences.value, "minValuesPolicy": options.min_values.value},
        "pods": sorted(waiting),
    }
    return {
        "objects.json": manifests_of(snapshot, to_place=waiting, leaving=problem.without),
        "catalog.json": catalogue_to_json(problem.catalog),
        "scenario.json": about,
    }


def _shown(faults: Sequence[str]) -> list[str]:
    rest = len(faults) - _FAULTS_TOLD
    return [*faults[:_FAULTS_TOLD], *([f"and {rest} more"] if rest > 0 else [])]
