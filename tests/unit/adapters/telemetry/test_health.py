import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from nodesmith.adapters.telemetry.health import HttpServer, metrics_server, probe_server
from nodesmith.adapters.telemetry.logs import StructuredLog
from nodesmith.adapters.telemetry.metrics import PrometheusMetrics
from tests.unit.adapters.kubernetes.manual import ManualClock


@asynccontextmanager
async def serving(server: HttpServer) -> AsyncIterator[str]:
    server.host = "127.0.0.1"
    async with asyncio.TaskGroup() as group:
        task = group.create_task(server.run())
        await server.listening.wait()
        yield f"http://127.0.0.1:{server.port}"
        task.cancel()


async def get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


async def test_probes_ask_each_time() -> None:
    wrong: list[str] = ["not listed yet"]
    server = probe_server(0, live={"loop": lambda: None}, ready={"caches": lambda: wrong[0] if wrong else None})
    async with serving(server) as url:
        assert await get(url + "/healthz") == (200, "ok")
        assert await get(url + "/readyz") == (500, "[-]caches failed: not listed yet\n")
        wrong.clear()
        assert await get(url + "/readyz") == (200, "ok")
        assert await get(url + "/readyz?verbose") == (200, "[+]caches ok\n")
        assert (await get(url + "/other"))[0] == 404


async def test_metrics_are_served() -> None:
    metrics = PrometheusMetrics(ManualClock(), StructuredLog(lambda _: None))
    metrics.set("cluster_state_node_count", 3)
    async with serving(metrics_server(0, metrics)) as url:
        status, text = await get(url + "/metrics")
    assert status == 200
    assert "karpenter_cluster_state_node_count 3.0" in text
