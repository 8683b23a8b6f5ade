"""nodesmith as its own process, started as a container of the chart's Deployment is: `run`, and its environment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.e2e.controlplane import die_with_parent, free_port

STARTED_WITHIN_S: Final = 90.0
STOPPED_WITHIN_S: Final = 30.0


@dataclass
class ControllerProcess:
    """One replica. Its log has everything that every process of this name wrote."""

    name: str
    folder: Path
    environment: Mapping[str, str]
    arguments: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = None
    metrics_port: int = field(default_factory=free_port)
    probe_port: int = field(default_factory=free_port)

    @property
    def log(self) -> Path:
        """Where its standard output and error go."""
        return self.folder / f"{self.name}.log"

    @property
    def is_alive(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """The process is there; `wait_until_leading` says when it works."""
        ports = {"METRICS_PORT": str(self.metrics_port), "HEALTH_PROBE_PORT": str(self.probe_port)}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "KUBE"))}  # noqa: TID251 - what every process is given
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nodesmith", "run", *self.arguments],
                env={**inherited, **self.environment, **ports, "NO_PROXY": "127.0.0.1", "HOSTNAME": self.name},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call
            )

    def terminate(self) -> int:
        """The process was asked to stop and did; its exit code."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        return process.wait(STOPPED_WITHIN_S)

    def kill(self) -> None:
        """The process is gone, without warning."""
        process = self._running()
        process.kill()
        process.wait()

    def freeze(self) -> None:
        """The process does nothing until it is thawed."""
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """The process goes on."""
        self._running().send_signal(signal.SIGCONT)

    def _running(self) -> subprocess.Popen[bytes]:
        assert self.process is not None, f"{self.name} was never started"
        return self.process

    def lines(self) -> list[dict[str, Any]]:
        """The log, line by line; what is no JSON is a line with only a `message`."""
        lines = []
        for text in self.log.read_text("utf-8", "replace").splitlines() if self.log.exists() else ():
            try:
                lines.append(json.loads(text))
            except ValueError:
                lines.append({"message": text, "level": "TEXT"})
        return lines

    def said(self, message: str, **fields: str) -> list[dict[str, Any]]:
        """The lines with this message and these fields."""
        return [each for each in self.lines() if each["message"] == message and fields.items() <= each.items()]

    def ask(self, path: str, *, port: int) -> str | None:
        """What it answers, or None when it does not."""
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return str(answer.read().decode())
        return None

    def metrics(self) -> str:
        """All metrics, as Prometheus reads them."""
        return self.ask("/metrics", port=self.metrics_port) or ""

    def wait_until_leading(self, *, times: int = 1) -> None:
        """It has taken the lease, so many times by its log, and has listed everything."""
        end = time.monotonic() + STARTED_WITHIN_S
        while time.monotonic() < end:
            assert self.is_alive, f"{self.name} ended:\n{self.tail()}"
            if len(self.said("became leader")) >= times and self.ask("/readyz", port=self.probe_port):
                return
            time.sleep(0.1)  # noqa: TID251 - another process is waited for
        raise AssertionError(f"{self.name} does not lead:\n{self.tail()}")

    def tail(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-30:])
