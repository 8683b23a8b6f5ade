"""What can be bought for each NodePool, by the same code that the controller buys with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from nodesmith.adapters.aws.client import AwsClient
from nodesmith.adapters.aws.images import UnsupportedAlias
from nodesmith.adapters.aws.imagesource import ImageSource
from nodesmith.adapters.aws.network import Network, wire_subnet
from nodesmith.adapters.aws.offers import Offers, Reservations
from nodesmith.adapters.aws.prices import Prices
from nodesmith.adapters.aws.settings import AwsSettings
from nodesmith.adapters.aws.typestore import TypeStore
from nodesmith.adapters.aws.unavailable import Unavailable
from nodesmith.adapters.aws.zonalshift import ZonalShift
from nodesmith.api.ec2nodeclass import AMI, EC2NodeClass
from nodesmith.install.doctor.seen import NotSeenError
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.nodepool import NodePool
from nodesmith.ports.clock import Clock

_ONCE: Final = timedelta(minutes=10)
"""Answers are kept for as long as an examination takes."""


class Market:
    """Asks AWS what selectors find, and what is sold there."""

    def __init__(self, client: AwsClient, clock: Clock, *, cluster_name: str, environment: dict[str, str]) -> None:
        enis = environment.get("RESERVED_ENIS") or "0"
        settings = AwsSettings(
            cluster_name=cluster_name,
            region=client.region,
            is_isolated_vpc=environment.get("ISOLATED_VPC", "").lower() == "true",
            reserved_enis=int(enis) if enis.isdecimal() else 0,
        )
        self._network = Network(client, clock, subnet_refresh=_ONCE)
        self._images = ImageSource(client, clock, refresh=_ONCE)
        self._prices = Prices(client, clock, is_isolated=settings.is_isolated_vpc)
        self._offers = Offers(
            settings,
            clock,
            types=TypeStore(client, clock),
            prices=self._prices,
            network=self._network,
            unavailable=Unavailable(clock),
            reservations=Reservations(clock),
            zonal_shift=ZonalShift(client, clock, cluster=cluster_name, is_enabled=False),
        )

    @property
    def price_caveat(self) -> str:
        """What is odd about the prices that were told; empty where nothing is."""
        return self._prices.caveat

    async def subnets(self, node_class: EC2NodeClass) -> tuple[str, ...]:
        """The ids of the subnets that it selects."""
        return tuple(each.id for each in await self._network.subnets(node_class.spec.subnet_selector_terms))

    async def groups(self, node_class: EC2NodeClass) -> tuple[str, ...]:
        """The ids of the security groups that it selects."""
        found = await self._network.security_groups(node_class.spec.security_group_selector_terms)
        return tuple(each.id for each in found)

    async def images(self, node_class: EC2NodeClass, version: str) -> tuple[AMI, ...]:
        """The images that it means; none where its alias means nothing for the version.

        Raises:
            PortError: when AWS does not answer.
        """
        try:
            return await self._images.images(node_class, version)
        except UnsupportedAlias:
            return ()

    async def types(
        self, pool: NodePool, node_classes: Sequence[EC2NodeClass], version: str
    ) -> tuple[InstanceType, ...]:
        """What is sold to the NodePool, in the subnets and for the images of its EC2NodeClass.

        Raises:
            PortError: when AWS does not answer.
            NotSeenError: when there is no such EC2NodeClass, or it finds nothing.
        """
        node_class = next((each for each in node_classes if each.name == pool.node_class.name), None)
        if node_class is None:
            raise NotSeenError(f"EC2NodeClass {pool.node_class.name} of NodePool {pool.name} is not there")
        resolved = node_class if node_class.status.subnets else await self._resolved(node_class, version)
        if not resolved.status.subnets:
            raise NotSeenError(f"EC2NodeClass {node_class.name} finds no subnets to be sold anything in")
        return tuple((await self._offers.of(resolved)).types)

    async def _resolved(self, node_class: EC2NodeClass, version: str) -> EC2NodeClass:
        """The EC2NodeClass as a controller would resolve it."""
        subnets = await self._network.subnets(node_class.spec.subnet_selector_terms)
        images = await self.images(node_class, version)
        status = replace(node_class.status, subnets=tuple(map(wire_subnet, subnets)), amis=images)
        return replace(node_class, status=status)
