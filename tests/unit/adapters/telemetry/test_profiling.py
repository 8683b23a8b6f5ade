import asyncio

import aiohttp

from nodesmith.adapters.clock import RealClock
from nodesmith.adapters.telemetry.health import HttpServer
from nodesmith.adapters.telemetry.profiling import PATH, profiler


async def busy_work() -> None:
    for _ in range(20):
        sum(range(10_000))
        await asyncio.sleep(0.02)


async def test_a_profile_says_what_took_the_loops_time() -> None:
    server = HttpServer({PATH: profiler(RealClock())}, 0, host="127.0.0.1")
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.run())
        await server.listening.wait()
        url = f"http://127.0.0.1:{server.port}{PATH}"
        async with aiohttp.ClientSession() as session:
            working = group.create_task(busy_work())
            async with session.get(url, params={"seconds": "1"}) as answer:
                assert "busy_work" in await answer.text()
            async with session.get(url, params={"seconds": "soon"}) as answer:
                assert answer.status == 400
            await working
        serving.cancel()
