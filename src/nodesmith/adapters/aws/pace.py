"""A token bucket for each API: what AWS lets through, and slower for a while after it said no."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from nodesmith.ports.clock import Clock


@dataclass(frozen=True, slots=True)
class Budget:
    """So many calls at once, then so many a second."""

    burst: float
    per_second: float


DEFAULT_BUDGET: Final = Budget(50, 10)
BUDGETS: Final = {
    "CreateFleet": Budget(50, 10),
    "TerminateInstances": Budget(50, 5),
    "CreateTags": Budget(50, 10),
    "CreateLaunchTemplate": Budget(50, 5),
    "DeleteLaunchTemplate": Budget(50, 5),
    "DescribeInstances": Budget(100, 20),
    "DescribeInstanceTypes": Budget(100, 10),
    "DescribeSpotPriceHistory": Budget(100, 20),
    "GetProducts": Budget(20, 5),
    "GetParameter": Budget(40, 20),
    "ReceiveMessage": Budget(100, 100),
    "DeleteMessageBatch": Budget(100, 100),
}
"""By operation, within EC2's documented request rates."""

_SLOWEST_SHARE: Final = 0.1
_RECOVERY: Final = 1.05


@dataclass
class Pace:
    """One API's bucket. Throttling halves the rate; each success gives five per cent of it back."""

    clock: Clock
    budget: Budget
    _tokens: float = field(init=False)
    _rate: float = field(init=False)
    _filled_at: float = field(init=False)
    _closed_until: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        """Start full."""
        self._tokens = self.budget.burst
        self._rate = self.budget.per_second
        self._filled_at = self.clock.monotonic()

    async def wait(self) -> None:
        """A call may go out now."""
        self._fill()
        self._tokens -= 1
        delay_s = max(-self._tokens / self._rate, self._closed_until - self.clock.monotonic())
        if delay_s > 0:
            await self.clock.sleep(timedelta(seconds=delay_s))

    def succeeded(self) -> None:
        """The API answered: a little faster again."""
        self._rate = min(self.budget.per_second, self._rate * _RECOVERY)

    def throttled(self, retry_after_s: float | None) -> None:
        """The API said no: half as fast, and nothing before `retry_after_s` is over."""
        self._fill()
        self._rate = max(self.budget.per_second * _SLOWEST_SHARE, self._rate / 2)
        self._tokens = min(self._tokens, 0.0)
        if retry_after_s:
            self._closed_until = max(self._closed_until, self.clock.monotonic() + retry_after_s)

    def _fill(self) -> None:
        now = self.clock.monotonic()
        self._tokens = min(self.budget.burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
