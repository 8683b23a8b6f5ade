"""Helm, as its program: releases are found, made and taken away by the tool that people keep them with.

The one thing to know: helm gets the same kubeconfig and context as everything else, and waits for nothing to be ready;
that is ours.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import yaml

from nodesmith.ports.errors import Refused, Unavailable

DEPLOYED: Final = "deployed"
PENDING_INSTALL: Final = "pending-install"
_UNREACHABLE: Final = ("cluster unreachable", "connection refused", "i/o timeout", "context deadline exceeded")


@dataclass(frozen=True, slots=True)
class Release:
    """A release as helm knows it; `chart` is its chart's name and version, as in `nodesmith-0.1.0`."""

    name: str
    namespace: str
    chart: str
    status: str
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def chart_name(self) -> str:
        """The chart without its version."""
        return self.chart.rpartition("-")[0]


class Releases(Protocol):
    """What is done with releases. Every method may raise `Unavailable` or `Refused`."""

    async def find(self, name: str, namespace: str) -> Release | None:
        """The release, or None where there is none."""
        ...

    async def upgrade(self, name: str, namespace: str, chart: Path, values: Mapping[str, Any]) -> None:
        """The release is of this chart with these values, and no others."""
        ...

    async def recover(self, release: Release) -> None:
        """A release that was cut off half-way is back at what it was before, or gone where that was nothing."""
        ...

    async def uninstall(self, name: str, namespace: str) -> None:
        """The release is gone, with what it made."""
        ...


def helm_program() -> Path | None:
    """Where helm is, or None where it is not on the PATH."""
    found = shutil.which("helm")
    return Path(found) if found else None


@dataclass(frozen=True, slots=True)
class Helm:
    """Releases by the program. `environment` has the KUBECONFIG that it is to use."""

    program: Path
    environment: Mapping[str, str]
    context: str = ""

    async def find(self, name: str, namespace: str) -> Release | None:
        """The release in whatever state."""
        told = await self._run("list", "--all", f"--filter=^{name}$", f"--namespace={namespace}", "--output=json")
        for row in json.loads(told or "[]"):
            values = await self._run("get", "values", name, f"--namespace={namespace}", "--output=json")
            return Release(name, namespace, row["chart"], row["status"], json.loads(values or "{}") or {})
        return None

    async def upgrade(self, name: str, namespace: str, chart: Path, values: Mapping[str, Any]) -> None:
        """The release is installed or upgraded; the CRDs are not the chart's business here."""
        text = yaml.safe_dump(dict(values), sort_keys=False)
        arguments = ("--install", "--reset-values", "--skip-crds", f"--namespace={namespace}", "--values=-")
        await self._run("upgrade", name, str(chart), *arguments, stdin=text)

    async def recover(self, release: Release) -> None:
        """Uninstalled where nothing was before, rolled back otherwise."""
        if release.status == PENDING_INSTALL:
            await self.uninstall(release.name, release.namespace)
        else:
            await self._run("rollback", release.name, f"--namespace={release.namespace}")

    async def uninstall(self, name: str, namespace: str) -> None:
        """The release is gone, with its history."""
        await self._run("uninstall", name, f"--namespace={namespace}", "--ignore-not-found", "--wait")

    async def _run(self, *arguments: str, stdin: str = "") -> str:
        context = (f"--kube-context={self.context}",) if self.context else ()
        process = await asyncio.create_subprocess_exec(
            str(self.program),
            *arguments,
            *context,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(self.environment),
        )
        try:
            out, err = await process.communicate(stdin.encode())
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            said = err.decode("utf-8", "replace").strip() or out.decode("utf-8", "replace").strip()
            is_away = any(each in said for each in _UNREACHABLE)
            raise (Unavailable if is_away else Refused)(f"helm {arguments[0]}: {said}")
        return out.decode("utf-8", "replace").strip()
