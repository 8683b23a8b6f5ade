"""How large a soaked world is and how fast things happen in it; a small one has every trouble too, and takes seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from nodesmith.adapters.memory.catalog import FAMILIES, ZONES, Family, catalog
from nodesmith.decide.disrupt.policy import Policy
from nodesmith.model.instancetype import InstanceType
from nodesmith.sim.world.kubelet import Pace


@dataclass(frozen=True)
class Size:
    """Numbers to draw between, or from."""

    pools: tuple[int, int] = (1, 3)
    apps: tuple[int, int] = (3, 6)
    replicas: tuple[int, int] = (1, 8)
    scales: tuple[int, ...] = (0, 1, 2, 4, 8, 12)
    limits: tuple[str, ...] = ("24", "64")
    families: tuple[Family, ...] = FAMILIES
    zones: tuple[str, ...] = ZONES
    pause_minutes: tuple[float, float] = (0.5, 20)
    """Between one trouble and the next."""
    effort: int = 4000
    """What is soaked is how decisions are carried out: they need not look far ahead, but at every node in one pass."""
    host_look_every: timedelta = timedelta(seconds=7)

    def types(self) -> Sequence[InstanceType]:
        """What can be bought."""
        return catalog(self.families, self.zones)

    def policy(self) -> Policy:
        """How nodes are chosen."""
        return Policy(effort=self.effort, foresight=0)

    def pace(self) -> Pace:
        """How long things take on a node."""
        return Pace(look_every=self.host_look_every, cloud_look_every=2 * self.host_look_every)


FULL = Size()
SMALL = Size(
    pools=(1, 2),
    apps=(2, 3),
    replicas=(1, 4),
    scales=(0, 1, 2, 3, 5),
    limits=("12", "24"),
    families=(
        Family("m7g", "arm64", 4, "0.050", (("large", 2), ("xlarge", 4))),
        Family("c7g", "arm64", 2, "0.041", (("large", 2), ("2xlarge", 8))),
    ),
    zones=ZONES[:2],
    pause_minutes=(0.5, 40),
    effort=600,
    host_look_every=timedelta(seconds=30),
)
