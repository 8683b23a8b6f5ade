"""How nodes find the cluster: from the settings, and from EKS for what they leave open."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

from nodesmith.adapters.aws.cache import Cache
from nodesmith.adapters.aws.client import AwsClient
from nodesmith.adapters.aws.settings import AwsSettings
from nodesmith.adapters.aws.userdata.bootstrap import ClusterInfo
from nodesmith.ports.clock import Clock
from nodesmith.ports.errors import PortError

VERSION_TTL: Final = timedelta(minutes=5)
OLDEST: Final = (1, 26)
NEWEST: Final = (1, 37)
"""The Kubernetes versions that nodes are known to join."""

_DNS_OFFSET: Final = 10
"""EKS gives cluster DNS the tenth address of the service range."""


AskVersion = Callable[[], Awaitable[str]]
"""Asks the API server for its minor version, `1.35`."""


class ClusterSource:
    """The cluster's address, certificate, service range and version.

    `ask_version` asks the API server itself; without it EKS is asked, which is what `--eks-control-plane` means.
    """

    def __init__(
        self, settings: AwsSettings, client: AwsClient, clock: Clock, ask_version: AskVersion | None = None
    ) -> None:
        self._settings = settings
        self._client = client
        self._ask_version = ask_version
        self._described: Cache[str, dict[str, Any]] = Cache(clock, VERSION_TTL)
        self._served: Cache[str, str] = Cache(clock, VERSION_TTL)
        self._last: dict[str, Any] = {}
        self._last_version = settings.kubernetes_version

    async def info(self) -> ClusterInfo:
        """Everything that user data needs; what neither the settings nor EKS know is empty.

        Raises:
            PortError: when EKS must be asked and does not answer.
        """
        settings = self._settings
        is_complete = settings.cluster_endpoint and settings.ca_bundle and settings.service_cidr
        told = {} if is_complete else await self._describe()
        network = told.get("kubernetesNetworkConfig") or {}
        cidr = settings.service_cidr or network.get("serviceIpv4Cidr") or network.get("serviceIpv6Cidr") or ""
        return ClusterInfo(
            name=settings.cluster_name,
            endpoint=settings.cluster_endpoint or told.get("endpoint") or "",
            ca_bundle=settings.ca_bundle or (told.get("certificateAuthority") or {}).get("data") or "",
            dns_ip=settings.dns_ip or _dns_of(cidr),
            cidr=cidr,
            is_ipv6=network.get("ipFamily") == "ipv6" or ":" in (settings.dns_ip or cidr),
        )

    async def version(self) -> str:
        """The Kubernetes minor version, `1.35`.

        Raises:
            PortError: when who must be asked has never told it and does not answer.
        """
        if self._settings.kubernetes_version:
            return self._settings.kubernetes_version
        if self._ask_version is None:
            self._last_version = str((await self._describe()).get("version") or "")
            return self._last_version
        try:
            self._last_version = await self._served.get("", self._ask_version)
        except PortError:
            if not self._last_version:
                raise
        return self._last_version

    @property
    def caveat(self) -> str:
        """What is odd about the cluster's version as it was last told, for people; empty where nothing is."""
        version = self._last_version
        major, _, minor = version.partition(".")
        if not (major.isdecimal() and minor.isdecimal()) or OLDEST <= (int(major), int(minor)) <= NEWEST:
            return ""
        oldest, newest = (".".join(map(str, each)) for each in (OLDEST, NEWEST))
        return f"Kubernetes {version} is not one of those that nodes are known to join, {oldest} to {newest}"

    async def _describe(self) -> dict[str, Any]:
        """What EKS says; what it said last, while it does not answer."""
        try:
            self._last = await self._described.get("", self._ask)
        except PortError:
            if not self._last:
                raise
        return self._last

    async def _ask(self) -> dict[str, Any]:
        answer = await self._client.call("eks", "DescribeCluster", name=self._settings.cluster_name)
        return dict(answer["cluster"])


def _dns_of(cidr: str) -> str:
    if not cidr:
        return ""
    return str(ipaddress.ip_network(cidr, strict=False).network_address + _DNS_OFFSET)
