"""A process that is killed right after one of its writes: the write was done, and nobody heard of it."""

from pathlib import Path
from typing import Any

from nodesmith.adapters.aws.client import AwsClient
from nodesmith.adapters.memory.cluster import MemoryCluster
from nodesmith.install.helm import Release, Releases
from nodesmith.install.setup import Step
from tests.functional.install.bench import READS, Bench


class Cut(Exception):
    """The process is gone."""


class Knife:
    """Counts writes, and cuts after the one it is set to."""

    def __init__(self) -> None:
        self.count = 0
        self._at = 0

    def set(self, at: int) -> None:
        self.count, self._at = 0, at

    def written(self) -> None:
        self.count += 1
        if self.count == self._at:
            raise Cut


class CutClient:
    """The AWS client, with a knife behind each write."""

    def __init__(self, inner: AwsClient, knife: Knife) -> None:
        self._inner, self._knife = inner, knife
        self.region = inner.region

    async def call(self, service: str, operation: str, **parameters: Any) -> Any:
        answer = await self._inner.call(service, operation, **parameters)
        if not operation.startswith(READS):
            self._knife.written()
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class CutCluster:
    """The cluster, with a knife behind each write."""

    def __init__(self, inner: MemoryCluster, knife: Knife) -> None:
        self._inner, self._knife = inner, knife

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name not in {"create", "patch", "delete"}:
            return method

        async def cut(*arguments: Any, **more: Any) -> Any:
            done = await method(*arguments, **more)
            self._knife.written()
            return done

        return cut


class CutReleases:
    """Releases, with a knife behind each change."""

    def __init__(self, inner: Releases, knife: Knife) -> None:
        self._inner, self._knife = inner, knife

    async def find(self, name: str, namespace: str) -> Release | None:
        return await self._inner.find(name, namespace)

    async def upgrade(self, name: str, namespace: str, chart: Path, values: Any) -> None:
        await self._inner.upgrade(name, namespace, chart, values)
        self._knife.written()

    async def recover(self, release: Release) -> None:
        await self._inner.recover(release)

    async def uninstall(self, name: str, namespace: str) -> None:
        await self._inner.uninstall(name, namespace)
        self._knife.written()


async def site_with_knife(bench: Bench, knife: Knife) -> Any:
    """The bench's site, where every write may be the last."""
    cut = {"client": CutClient(bench.client, knife), "cluster": CutCluster(bench.cluster, knife)}
    return await bench.site(**cut, releases=CutReleases(bench.releases, knife))


async def survives(call: Any) -> bool:
    """Whether the call came to its end before the knife did."""
    try:
        await call()
    except Cut:
        return False
    return True


def named(step: Step) -> str:
    return f"{step.name} {step.target}"
