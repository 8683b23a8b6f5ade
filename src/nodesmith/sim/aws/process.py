"""The box in a process of its own, for tests and tools that must not share moto's globals or Python's lock."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import IO, TYPE_CHECKING, Final, Self

from nodesmith.sim.aws.control import Control

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

STOP_S: Final = 5


class BoxProcess(AbstractContextManager["BoxProcess"], AbstractAsyncContextManager["BoxProcess"]):
    """AWS in its own process; it ends with this one, since it watches its standard input."""

    def __init__(
        self,
        *,
        seed: int = 0,
        region: str = "ap-northeast-2",
        port: int = 0,
        program: Sequence[str] = ("nodesmith.sim.aws",),
        log: IO[str] | None = None,
    ) -> None:
        """`program` is the module to run with arguments of its own; its standard error goes to `log`."""
        self.region = region
        self._arguments = [*program, f"--port={port}", f"--seed={seed}", f"--region={region}", "--until-stdin-closes"]
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self._url = ""

    @property
    def url(self) -> str:
        """Where the box listens.

        Raises:
            RuntimeError: the box is not running.
        """
        if self._process is None:
            raise RuntimeError("the box is not running")
        return self._url

    @property
    def control(self) -> Control:
        """The client of its control plane."""
        return Control(self.url, self.region)

    def start(self) -> Self:
        """Start the process; it listens when this returns.

        Raises:
            RuntimeError: the process ended instead.
        """
        command = [sys.executable, "-m", *self._arguments]
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            code = self._process.wait()
            self._process = None
            raise RuntimeError(f"the box did not start: exit code {code}")
        self._url = str(json.loads(line)["url"])
        return self

    def stop(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

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
