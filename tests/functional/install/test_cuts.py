"""Killed after any write, and run again: everything is as if nothing had happened, both ways."""

from collections.abc import Awaitable, Callable

from nodesmith.install.assemble import Wishes, arriving_steps, leaving_steps
from nodesmith.install.setup import Action, Step, ensure, leaving_plan, plan, undo
from tests.functional.install.bench import Bench
from tests.functional.install.cutting import Knife, named, site_with_knife, survives

SAMPLE = (13,)


async def each_cut(
    knife: Knife, step: Step, do: Callable[[], Awaitable[None]], back: Callable[[], Awaitable[None]]
) -> int:
    """Do a step, cut after each of its writes in turn; it is done in the end. How often it was cut."""
    cuts = 0
    while True:
        knife.set(cuts + 1)
        was_done = await survives(do)
        knife.set(0)
        if was_done:
            return cuts
        cuts += 1
        await do()
        if cuts > 12:
            raise AssertionError(f"{named(step)} does not come to an end")
        await back()


async def test_every_step_survives_a_cut_after_each_of_its_writes(bench: Bench) -> None:
    before, knife = bench.state(), Knife()
    steps = await arriving_steps(await site_with_knife(bench, knife), Wishes())
    cuts = 0
    for step in steps:
        if (await step.look()).action is not Action.KEEP:
            cuts += await each_cut(knife, step, step.ensure, step.undo)
        assert (await step.look()).action is Action.KEEP, named(step)
    assert {row.action for row in await plan(steps)} == {Action.KEEP}
    cut_back = 0
    for step in reversed(steps):
        if (await step.look()).leaving is not Action.KEEP:
            cut_back += await each_cut(knife, step, step.undo, step.ensure)
        assert (await step.look()).leaving is Action.KEEP, named(step)
    assert bench.state() == before
    assert cuts > 30
    assert cut_back > 25


async def test_a_run_that_was_cut_is_finished_by_the_next(bench: Bench) -> None:
    before = bench.state()
    steps = await arriving_steps(await bench.site(), Wishes())
    await ensure(steps)
    whole = without_ids(bench.state())
    await undo(await leaving_steps(await bench.site(), tell=print))
    for at in SAMPLE:
        knife = Knife()
        knife.set(at)
        cut = await arriving_steps(await site_with_knife(bench, knife), Wishes())
        assert not await survives(lambda steps=cut: ensure(steps))
        await ensure(await arriving_steps(await bench.site(), Wishes()))
        assert without_ids(bench.state()) == whole
        knife.set(at)
        cut = await leaving_steps(await site_with_knife(bench, knife), tell=print)
        assert not await survives(lambda steps=cut: undo(steps))
        left = await leaving_steps(await bench.site(), tell=print)
        assert {row.action for row in await leaving_plan(left)} >= {Action.REMOVE}
        await undo(left)
        assert bench.state() == before


def without_ids(state: dict[str, object]) -> dict[str, str]:
    """The state without what the server makes up anew each time."""
    return {key: str(value) for key, value in state.items() if not key.startswith(MADE_UP)}


MADE_UP = ("CustomResourceDefinition", "ServiceAccount", "Deployment", "NodePool", "EC2NodeClass")
