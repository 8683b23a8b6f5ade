"""Runs the story and says whether all of it held."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console

from nodesmith.sim.clock import VirtualClock, run
from nodesmith.sim.demo.scene import open_scene
from nodesmith.sim.demo.story import Story
from nodesmith.sim.demo.telling import Teller


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it. `log` is everything that happened and was told; the same seed makes the same."""

    failures: tuple[str, ...]
    log: str

    @property
    def held(self) -> bool:
        """Whether every check held."""
        return not self.failures


def run_demo(console: Console, *, seed: int = 0, pace: float = 0.0) -> Result:
    """Tell the story; `pace` is how many real seconds a virtual one takes."""
    teller = Teller(console)
    diary: list[str] = []

    async def main(clock: VirtualClock) -> None:
        async with open_scene(clock, seed=seed) as scene:
            try:
                await Story(scene, teller).tell()
            finally:
                diary.append(scene.base.diary.text)

    run(main, pace=pace)
    return Result(tuple(teller.failures), "".join(diary) + "".join(f"{line}\n" for line in teller.lines))
