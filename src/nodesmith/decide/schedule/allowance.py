"""How long a plan may be improved: the more pods are bought for, the longer, since the more there is to be saved.

Pods wait meanwhile, so a small batch is not kept waiting for the sake of what only a large one repays.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

FULL: Final = timedelta(seconds=2)
"""What `FULL_BATCH` pods and more are given; fewer get that part of it."""
FULL_BATCH: Final = 5_000
LEAST: Final = timedelta(seconds=0.3)
"""What any batch is given: a few hundred pods have few machines, and those are tried within it."""


def improving_time(pods: int) -> timedelta:
    """How long the plan for so many pods may be improved."""
    return max(LEAST, FULL * min(1.0, pods / FULL_BATCH))
