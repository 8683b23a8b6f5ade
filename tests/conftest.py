"""What holds for every test: hypothesis profiles, and no async test leaves a task behind."""

import asyncio
import inspect
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, settings

# Deadlines measure the machine, not the code. Nightly: `pytest --hypothesis-profile=nightly`.
_DEV = settings(max_examples=50, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("dev", _DEV)
settings.register_profile("ci", _DEV, derandomize=True)
settings.register_profile("nightly", _DEV, max_examples=2_000)
settings.load_profile("dev")


@pytest.fixture
async def no_leaked_tasks() -> AsyncIterator[None]:
    """Fails an async test that leaves a task running: a task without an owner hides its error."""
    before = asyncio.all_tasks()
    yield
    leaked = {task for task in asyncio.all_tasks() - before if task is not asyncio.current_task() and not task.done()}
    for task in leaked:
        task.cancel()
    assert not leaked, "tasks left running: " + ", ".join(sorted(task.get_name() for task in leaked))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every async test the leak check, first in and last out."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.fixturenames.insert(0, "no_leaked_tasks")
