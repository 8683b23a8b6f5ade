"""Where facts come from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from nodesmith.adapters.aws.client import AwsClient
from nodesmith.ports.clock import Clock
from nodesmith.ports.cluster import Cluster

Tokens = Callable[[str, str, str], Awaitable[str]]
"""A token of a service account (namespace, name) for an audience; raises PortError."""

ReadSettings = Callable[[Sequence[str], Mapping[str, str]], Sequence[str]]
"""What is wrong with a controller's arguments and environment."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Temporary credentials."""

    access_key: str
    secret_key: str
    session_token: str


class AsSomebody(Protocol):
    """Makes a client with other credentials."""

    def __call__(self, credentials: Credentials, /) -> AwsClient:
        """A client that calls AWS with these credentials."""
        ...


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that facts are read from. `cluster` is None where the Kubernetes API cannot be reached at all."""

    cluster_name: str
    version: str
    aws: AwsClient
    clock: Clock
    cluster: Cluster | None
    why_no_cluster: str = ""
    server: str = ""
    tokens: Tokens | None = None
    as_somebody: AsSomebody | None = None
    read_settings: ReadSettings | None = None
