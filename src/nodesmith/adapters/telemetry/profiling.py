"""Where the event loop's time goes: asked for while the controller runs, as Go programs have it.

    curl 127.0.0.1:8080/debug/pprof/profile?seconds=10

The answer is a table for people, not a file for `go tool pprof`. Only the loop is looked at: plans are made beside it.
"""

from __future__ import annotations

import cProfile
import io
import pstats
from datetime import timedelta
from typing import Final

from aiohttp import web

from nodesmith.adapters.telemetry.health import Answer
from nodesmith.ports.clock import Clock

PATH: Final = "/debug/pprof/profile"
SECONDS: Final = 30
LONGEST_S: Final = 300
_LINES: Final = 60


def profiler(clock: Clock) -> Answer:
    """Answers with what took the loop's time during the `seconds` that are asked for."""

    async def answer(request: web.Request) -> web.Response:
        try:
            seconds = min(LONGEST_S, max(0, int(request.query.get("seconds", SECONDS))))
        except ValueError:
            return web.Response(status=400, text="seconds is not a whole number\n")
        profile = cProfile.Profile()
        try:
            profile.enable()
        except ValueError:
            return web.Response(status=409, text="another profile is being made\n")
        try:
            await clock.sleep(timedelta(seconds=seconds))
        finally:
            profile.disable()
        text = io.StringIO()
        pstats.Stats(profile, stream=text).sort_stats("tottime").print_stats(_LINES)
        return web.Response(text=text.getvalue())

    return answer
