"""How fast effects may follow each other."""

from __future__ import annotations

from datetime import timedelta

from nodesmith.ports.clock import Clock


class TokenBucket:
    """At most `burst` at once, and `per_second` in the long run; waiting callers are served in order."""

    def __init__(self, clock: Clock, *, per_second: float, burst: int) -> None:
        self._clock = clock
        self._per_second = per_second
        self._burst = float(burst)
        self._tokens = float(burst)
        self._at = clock.monotonic()

    def try_take(self) -> bool:
        """Whether a token was there and is now taken."""
        self._refill()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    async def take(self) -> None:
        """Return when a token was to be had; it is taken at once, so that a later caller waits longer."""
        self._refill()
        self._tokens -= 1
        if self._tokens < 0:
            await self._clock.sleep(timedelta(seconds=-self._tokens / self._per_second))

    def _refill(self) -> None:
        now = self._clock.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_second)
        self._at = now
