"""One soaked world: hours of troubles drawn from a seed, then an hour of peace, after which nothing may move."""

from __future__ import annotations

import asyncio
import random
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from nodesmith.controllers.build import Controllers
from nodesmith.controllers.shell import Gates, Options
from nodesmith.decide.disrupt.moves import weary
from nodesmith.decide.disrupt.policy import REPLACES_FOR
from nodesmith.decide.disrupt.standing import greedy
from nodesmith.decide.schedule.problem import Problem
from nodesmith.decide.schedule.solve import schedule
from nodesmith.model.nodepool import DisruptionReason
from nodesmith.model.pod import Pod
from nodesmith.model.taints import DISRUPTED
from nodesmith.plan.schedule import SchedulePlan
from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.cutting import CutQueue, Scissors
from tests.functional.controllers.smallworld import SmallWorld
from tests.functional.soak.lawful import LawfulCloud, LawfulCluster, LawfulLog, NoMetrics
from tests.functional.soak.laws import Broken, Laws
from tests.functional.soak.size import FULL, Size
from tests.functional.soak.troubles import Troubles

LOOK_EVERY = timedelta(seconds=20)
PEACE = timedelta(hours=1)
WATCHED = timedelta(minutes=20)
BOOKMARKS_EVERY = timedelta(minutes=4)
"""Nearly as rare as they may be."""

QUEUE_WAIT_S = 600.0
"""A message ends the wait for it at once."""


@dataclass(frozen=True)
class Report:
    """What a run came to."""

    seed: int
    crashes: int
    machines: int
    commands: dict[str, int]
    seen: dict[str, int]
    """How often each law had something to judge."""


def soak(seed: int, *, hours: float = 24, is_plain: bool = False, size: Size = FULL) -> Report:
    """Run the seed's world; a plain one plans with the plain greedy, which takes a sixth of the time.

    Raises:
        Broken: when a law was.
    """
    soaked: list[Soaked] = []

    async def main(clock: VirtualClock) -> Report:
        soaked.append(Soaked(clock, seed, is_plain=is_plain, size=size))
        return await soaked[0].live(timedelta(hours=hours))

    try:
        return run(main)
    except BaseException as error:
        if soaked:
            error.add_note("\n".join(soaked[0].troubles.told[-25:]))
        raise


class Soaked:
    """A world and its troubles."""

    def __init__(self, clock: VirtualClock, seed: int, *, is_plain: bool = False, size: Size = FULL) -> None:
        self._is_plain = is_plain
        self._size = size
        self._clock = clock
        self._seed = seed
        self._rng = random.Random(f"{seed}:life")
        self.world = SmallWorld(
            clock,
            seed=seed,
            pace=size.pace(),
            types=size.types(),
            bookmark_every=BOOKMARKS_EVERY,
            queue_wait_s=QUEUE_WAIT_S,
        )
        self.world.told_numbers = NoMetrics()
        self.laws = Laws(self.world)
        self.world.log = LawfulLog(self.laws)
        self.troubles = Troubles(self.world, self.laws, random.Random(f"{seed}:troubles"), size)
        self._starts = 0

    async def live(self, duration: timedelta) -> Report:
        """Troubles for so long, then peace."""
        self.troubles.set_up()
        async with self.world.running(has_steps=False):
            ends = self._clock.now() + duration
            next_trouble = self._clock.now() + timedelta(minutes=5)
            while self._clock.now() < ends:
                await self._generation(ends, next_trouble)
                next_trouble = self._clock.now()
            self.troubles.end_lasting(all_of_them=True)
            await self.peace()
        machines = len(self.world.cloud.rented)
        return Report(self._seed, self.troubles.crashes, machines, dict(self.laws.commands), dict(self.laws.seen))

    async def _generation(self, ends: datetime, next_trouble: datetime) -> None:
        """One life of the process: until it crashes, or the time of troubles is over."""
        scissors = Scissors(covers_reads=True)
        async with self._controlled(scissors):
            while self._clock.now() < ends:
                await self._pass_time(LOOK_EVERY, scissors)
                if scissors.cut.is_set():
                    break
                self._look()
                if self._clock.now() >= next_trouble:
                    before = self.troubles.crashes
                    self.troubles.next()
                    next_trouble = self._clock.now() + timedelta(minutes=self._rng.uniform(*self._size.pause_minutes))
                    if self.troubles.crashes > before:
                        await self._arm(scissors)
        self.laws.is_alive = False
        self.laws.look()
        await self._clock.sleep(timedelta(seconds=self._rng.choice([1, 5, 30, 240])))

    async def _arm(self, scissors: Scissors) -> None:
        """The process is killed at one of the next things that it waits for, or wherever it is at some moment."""
        if self._rng.random() < 0.3:
            await self._pass_time(LOOK_EVERY * self._rng.random(), scissors)
            scissors.cut.set()
        else:
            scissors.at = scissors.count + self._rng.randint(1, 150)
            scissors.is_after = self._rng.random() < 0.5

    async def _pass_time(self, duration: timedelta, scissors: Scissors) -> None:
        """So much later, or at the moment of the kill if that is earlier."""
        try:
            async with asyncio.timeout(max(duration.total_seconds(), 1e-3)):
                await scissors.cut.wait()
        except TimeoutError:
            return

    def _look(self) -> None:
        self.troubles.end_lasting()
        self.laws.is_alive = True
        self.laws.is_hampered = bool(self.troubles.lasting)
        self.laws.look()

    def _controlled(self, scissors: Scissors) -> AbstractAsyncContextManager[Controllers]:
        self._starts += 1
        cluster = LawfulCluster(self.world.cluster, scissors, self.laws)
        cloud = LawfulCloud(self.world.cloud, scissors, self.laws)
        queue = CutQueue(self.world.queue, scissors)
        policy = self._size.policy()
        options = Options(
            cluster_name="soaked",
            gates=Gates(node_repair=True, static_capacity=True),
            policy=replace(policy, options=greedy(policy.options)) if self._is_plain else policy,
            workers=3,
        )
        seed = self._seed * 1000 + self._starts
        return self.world.controlled(
            options,
            cluster=cluster,
            cloud=cloud,
            queue=queue,
            seed=seed,
            solve=_plainly if self._is_plain else schedule,
        )

    async def peace(self) -> None:
        """An hour without trouble; then all is well, and nothing moves but what had to rest until then."""
        async with self._controlled(Scissors()):
            ends = self._clock.now() + PEACE
            while self._clock.now() < ends:
                await self._clock.sleep(LOOK_EVERY)
                self._look()
            before, begun = set(self.world.cloud.rented), len(self.laws.begun)
            resting = {reason: self.resting(reason) for reason in DisruptionReason}
            for _ in range(int(WATCHED / LOOK_EVERY)):
                await self._clock.sleep(LOOK_EVERY)
                self._look()
            await self._all_well()
            if self._has_expired_since(ends - WATCHED):
                return
            following = self.laws.begun[begun:]
            if following and not resting[following[0].method.reason].isdisjoint(following[0].candidates):
                return  # What had to rest moves then, and what follows from that may move after it.
            if following:
                self.laws.fail("nodes still move an hour after the last trouble")
            if set(self.world.cloud.rented) - before:
                self.laws.fail("machines are still bought an hour after the last trouble")

    def resting(self, reason: DisruptionReason) -> set[str]:
        """Claims that are left alone for now: bought for the same reason, or moved to, too lately."""
        policy = self._size.policy()
        now = self._clock.now()
        claims, by_node = self.world.claims(), dict[str, list[Pod]]()
        for pod in self.world.pods():
            by_node.setdefault(pod.node_name, []).append(pod)
        bought = (each for each in claims if each.meta.annotations.get(REPLACES_FOR) == reason.value)
        found = {each.name for each in bought if each.meta.created_at > now - policy.calm}
        if reason is not DisruptionReason.UNDERUTILIZED:
            return found
        return found | {
            each.name
            for each in claims
            if weary(each, by_node.get(each.node_name, ()), since=now - policy.rest, most=policy.most_moves)
        }

    def _has_expired_since(self, moment: datetime) -> bool:
        """Whether a node's time ran out, which is cause enough for others to move."""
        claims = [rented.claim for rented in self.world.cloud.rented.values()]
        return any(
            moment <= claim.meta.created_at + claim.expire_after <= self._clock.now()
            for claim in claims
            if claim.expire_after is not None
        )

    async def _all_well(self) -> None:
        for _ in range(30):
            if not self.wrong():
                return
            await self._clock.sleep(LOOK_EVERY)
        self.laws.fail(self.wrong())

    def wrong(self) -> str:
        """What is not as it should be when all is quiet, or nothing."""
        world = self.world
        leaving = {claim.provider_id for claim in world.claims() if claim.meta.is_deleting}
        waiting = [pod.key for pod in world.pods() if pod.phase != "Running" and "agent" not in pod.meta.name]
        if waiting and not self._is_full():
            return f"pods still wait: {waiting}"
        tainted = [node.name for node in world.nodes() if DISRUPTED in node.taints and node.provider_id not in leaving]
        if tainted:
            return f"nodes stay tainted: {tainted}"
        claims = {claim.provider_id for claim in world.claims()}
        machines = {each.machine.provider_id for each in world.machines()}
        if claims != machines:
            return f"claims and machines differ: {sorted(claims ^ machines)}"
        return ""

    def _is_full(self) -> bool:
        """Whether every pool has a limit, so that pods may have to wait."""
        return all(pool.limits for pool in self.laws.pools().values())


def _plainly(problem: Problem) -> SchedulePlan:
    """The plan of Karpenter's own rule."""
    return schedule(replace(problem, options=greedy(problem.options)))


__all__ = ["Broken", "Report", "soak"]
