"""One owner for all tasks: a service that fails, or ends by itself, ends them all, and the process with them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from nodesmith.controllers.controller import Service


class ServiceEnded(RuntimeError):
    """A service returned. Services do not end by themselves."""


async def supervise(services: Mapping[str, Service], stop: asyncio.Event) -> None:
    """Run the services side by side until `stop` is set, or until one of them fails.

    Raises:
        ExceptionGroup: with the failures, when a service failed or ended.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_run(name, service), name=name) for name, service in services.items()]
        await stop.wait()
        for task in tasks:
            task.cancel()


async def _run(name: str, service: Service) -> None:
    await service.run()
    raise ServiceEnded(name)
