"""The box in this process: a thread that serves HTTP on 127.0.0.1.

moto keeps its state in module globals, so there is one box a process at a time, and starting it empties the account.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, Any, Final, Self

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import make_server

from nodesmith.sim.aws import world as worlds
from nodesmith.sim.aws.control import Control
from nodesmith.sim.aws.server import Application
from nodesmith.sim.aws.world import World, wall_clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from types import TracebackType

HOST: Final = "127.0.0.1"
DEFAULT_REGION: Final = "ap-northeast-2"
_RUNNING: Final = threading.Lock()


class _QuietHandler(MotoRequestHandler):
    """Serves without a line of log a request, and keeps connections open."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: the journal has it."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Say nothing: a client that goes away is no news."""


class Box(AbstractContextManager["Box"], AbstractAsyncContextManager["Box"]):
    """AWS in this process.

    `clock` makes time virtual: transitions, events and prices follow it, and long polls return at once.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        clock: Callable[[], datetime] | None = None,
        region: str = DEFAULT_REGION,
        port: int = 0,
    ) -> None:
        self.world = World(seed=seed, clock=clock or wall_clock, is_virtual=clock is not None)
        self.region = region
        self._port = port
        self._server: Any = None
        self._thread: threading.Thread | None = None
        self._application: Application | None = None

    @property
    def url(self) -> str:
        """Where the box listens.

        Raises:
            RuntimeError: the box is not running.
        """
        if self._server is None:
            raise RuntimeError("the box is not running")
        return f"http://{HOST}:{self._server.server_port}"

    @property
    def control(self) -> Control:
        """The client of its control plane."""
        return Control(self.url, self.region)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point boto3 at the box."""
        return environment(self.url, self.region)

    def start(self) -> Self:
        """Serve, from an empty account.

        Raises:
            RuntimeError: another box runs in this process.
        """
        if not _RUNNING.acquire(blocking=False):
            raise RuntimeError("another box runs in this process; moto's state is the process's")
        try:
            # moto's catalogues are a million objects that never die; a full collection walks them for 0.2 s.
            gc.freeze()
            worlds.install(self.world)
            self._application = Application(self.world)
            self._application.reset()
            self._server = make_server(
                HOST, self._port, self._application, threaded=True, request_handler=_QuietHandler
            )
        except BaseException:
            _RUNNING.release()
            raise
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="aws-box", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """End serving; what was made is forgotten."""
        if self._server is None or self._thread is None or self._application is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server = None
        self._application.reset()
        _RUNNING.release()

    def reset(self) -> None:
        """Empty the account; seed and clock stay."""
        if self._application is not None:
            self._application.reset()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)


def environment(url: str, region: str) -> dict[str, str]:
    """The variables that point boto3 at a box."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
