"""The two HTTP servers that Kubernetes and Prometheus ask: `/healthz` and `/readyz`, and `/metrics`.

A probe is a name and a question. A failed liveness probe says that this process should be restarted, a failed readiness
probe that it should not be relied on. A follower that waits for its turn is ready.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from nodesmith.adapters.telemetry.metrics import PrometheusMetrics

Probe = Callable[[], str | None]
"""What is wrong, or None."""

Answer = Callable[[web.Request], Awaitable[web.Response]]


@dataclass(slots=True)
class HttpServer:
    """Serves some paths on one port until it is cancelled; port 0 takes a free one, which `port` then says."""

    paths: Mapping[str, Answer]
    port: int
    host: str = "0.0.0.0"  # noqa: S104 - the kubelet and Prometheus come from outside of the pod
    listening: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Serve."""
        application = web.Application()
        for path, answer in self.paths.items():
            application.router.add_get(path, answer)
        runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, self.host, self.port).start()
            self.port = runner.addresses[0][1]
            self.listening.set()
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()


def probe_server(port: int, *, live: Mapping[str, Probe], ready: Mapping[str, Probe]) -> HttpServer:
    """`/healthz` and `/readyz`; with `?verbose` all probes are listed, as the API server does it."""
    return HttpServer({"/healthz": _asking(live), "/readyz": _asking(ready)}, port)


def metrics_server(port: int, metrics: PrometheusMetrics) -> HttpServer:
    """`/metrics`. The text is made beside the loop: that of a large cluster takes a while."""

    async def answer(request: web.Request) -> web.Response:
        metrics.look()
        body, content_type = await asyncio.to_thread(metrics.text, request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    return HttpServer({"/metrics": answer}, port)


def _asking(probes: Mapping[str, Probe]) -> Answer:
    async def answer(request: web.Request) -> web.Response:
        found = {name: probe() for name, probe in probes.items()}
        is_well = not any(found.values())
        if is_well and "verbose" not in request.query:
            return web.Response(text="ok")
        lines = [f"[-]{name} failed: {wrong}" if wrong else f"[+]{name} ok" for name, wrong in found.items()]
        return web.Response(text="\n".join(lines) + "\n", status=200 if is_well else 500)

    return answer
