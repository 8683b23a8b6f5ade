"""What a contract suite needs to know of the thing under test."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from nodesmith.api.kind import Kind
from nodesmith.ports.cluster import Cluster


class Bind(Protocol):
    async def __call__(self, name: str, node: str, *, namespace: str) -> None: ...


class Expire(Protocol):
    async def __call__(self, kind: Kind[Any]) -> str:
        """A resource version of the kind that can no longer be watched from."""


@dataclass
class ClusterHarness:
    """An API server under test. `namespace` exists and is the test's own; `unique` makes names of its own."""

    cluster: Cluster
    namespace: str
    unique: Callable[[str], str]
    bind: Bind
    expire: Expire
    collects_garbage: bool = True
