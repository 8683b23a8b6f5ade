"""What users do, case by case, on one control plane, one account and one controller, many cases at a time.

A case is a coroutine of `tests/e2e/cases`; those that were selected start together, and each test waits for its own.
"""

import asyncio
import inspect
import traceback
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, Final

import pytest

from nodesmith.api.kinds import EC2_NODE_CLASS
from tests.e2e.cases import leaving, placing
from tests.e2e.ebs import Driver
from tests.e2e.stage import Stage
from tests.e2e.yard import NODE_CLASS, Case, Yard, node_class

AT_ONCE: Final = 12
LONGEST_S: Final = 300.0
CASES: Final[dict[str, Case]] = {
    name.replace("_", "-"): case
    for module in (leaving, placing)
    for name, case in vars(module).items()
    if inspect.iscoroutinefunction(case) and case.__module__ == module.__name__ and not name.startswith("_")
}

Outcomes = dict[str, "Future[str]"]


@pytest.fixture(scope="module")
def outcomes(stage: Stage, request: pytest.FixtureRequest) -> Iterator[Outcomes]:
    """What went wrong in each case, empty where nothing did; the cases are under way."""
    wanted = [name for item in request.session.items if (name := _case_of(item))]
    stage.apply(node_class(NODE_CLASS, stage))
    driver = stage.loop.start(Driver(stage.cluster, stage.mirror).run())
    turns = asyncio.Semaphore(AT_ONCE)
    yield {name: stage.loop.start(_play(stage, name, turns)) for name in wanted}
    stage.kubectl("delete", "ec2nodeclass", NODE_CLASS, "--timeout=60s")
    stage.wait(lambda: not stage.mirror.all(EC2_NODE_CLASS), within_s=10)
    driver.cancel()


@pytest.mark.parametrize("case", CASES)
def test_case(case: str, outcomes: Outcomes) -> None:
    wrong = outcomes[case].result()
    assert not wrong, wrong


async def _play(stage: Stage, name: str, turns: asyncio.Semaphore) -> str:
    async with turns:
        yard = Yard(stage, name)
        await yard.open()
        wrong = await _told(CASES[name](yard), yard)
        return wrong + await _told(yard.clear(), yard)


async def _told(work: Coroutine[Any, Any, None] | Any, yard: Yard) -> str:
    try:
        async with asyncio.timeout(LONGEST_S):
            await work
    except Exception:  # noqa: BLE001 - whatever it was, the test says it
        return f"{traceback.format_exc()}\n{yard.report()}\n"
    return ""


def _case_of(item: pytest.Item) -> str:
    spec = getattr(item, "callspec", None)
    return str(spec.params["case"]) if spec is not None and "outcomes" in getattr(item, "fixturenames", ()) else ""
