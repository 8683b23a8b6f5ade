"""Clusters whose pods and services have IPv6 addresses: the cluster, the interfaces, the user data."""

from __future__ import annotations

from typing import Any

import pytest

from nodesmith.adapters.aws.blocking import run_inline
from nodesmith.adapters.aws.client import AwsClient
from nodesmith.adapters.aws.cluster import ClusterSource
from nodesmith.adapters.aws.families import family_of
from nodesmith.adapters.aws.launchtemplate import TemplateOptions, build_template
from nodesmith.adapters.aws.settings import AwsSettings
from nodesmith.adapters.aws.userdata.bootstrap import Bootstrap, ClusterInfo
from nodesmith.adapters.aws.userdata.render import render_user_data
from nodesmith.adapters.clock import RealClock
from nodesmith.api.ec2nodeclass import KubeletConfiguration, decode_ec2nodeclass

IPV6 = ClusterInfo("c", "https://e", "Y2E=", "fd12:3456::a", "fd12:3456::/108", is_ipv6=True)


class Eks:
    """EKS, which describes one cluster."""

    def __init__(self, network: dict[str, str]) -> None:
        self._network = network

    def client(self, service: str, region: str) -> Any:
        assert (service, region) == ("eks", "r")
        return self

    def describe_cluster(self, *, name: str) -> dict[str, Any]:
        return {"cluster": {"name": name, "version": "1.35", "kubernetesNetworkConfig": self._network}}


@pytest.mark.parametrize(
    ("network", "dns", "wanted"),
    [
        ({"ipFamily": "ipv4", "serviceIpv4Cidr": "10.100.0.0/16"}, "", ("10.100.0.10", "10.100.0.0/16", False)),
        ({"ipFamily": "ipv6", "serviceIpv6Cidr": "fd12:3456::/108"}, "", ("fd12:3456::a", "fd12:3456::/108", True)),
        ({"serviceIpv6Cidr": "fd12:3456::/108"}, "", ("fd12:3456::a", "fd12:3456::/108", True)),
        ({"serviceIpv4Cidr": "10.100.0.0/16"}, "fd12::a", ("fd12::a", "10.100.0.0/16", True)),
    ],
)
async def test_a_cluster_is_of_the_family_that_its_services_are(
    network: dict[str, str], dns: str, wanted: tuple[str, str, bool]
) -> None:
    clock = RealClock()
    client = AwsClient(Eks(network), region="r", clock=clock, run_blocking=run_inline)
    info = await ClusterSource(AwsSettings("c", "r", dns_ip=dns), client, clock).info()
    assert (info.dns_ip, info.cidr, info.is_ipv6) == wanted


def interfaces(spec: dict[str, Any], *, is_ipv6: bool, efas: int = 0) -> list[dict[str, Any]]:
    options = TemplateOptions(
        image_id="ami-1",
        user_data="",
        spec=decode_ec2nodeclass({"spec": spec}).spec,
        family=family_of("AL2023"),
        security_groups=("sg-1",),
        profile="p",
        tags={},
        region="r",
        capacity_type="on-demand",
        is_ipv6=is_ipv6,
        efa_count=efas,
    )
    found: list[dict[str, Any]] = build_template(options).data["NetworkInterfaces"]
    return found


def test_the_first_interface_has_one_ipv6_address_and_prefixes_of_the_family() -> None:
    plain = {"DeviceIndex": 0, "Groups": ["sg-1"]}
    v6 = {"PrimaryIpv6": True, "Ipv6AddressCount": 1}
    assert interfaces({}, is_ipv6=False) == [plain]
    assert interfaces({}, is_ipv6=True) == [plain | v6]
    assert interfaces({"ipPrefixCount": 3}, is_ipv6=False) == [plain | {"Ipv4PrefixCount": 3}]
    assert interfaces({"ipPrefixCount": 3}, is_ipv6=True) == [plain | v6 | {"Ipv6PrefixCount": 3}]
    first, second = interfaces({}, is_ipv6=True, efas=2)
    assert (v6.items() <= first.items(), v6.keys() & second.keys()) == (True, set())


def test_efa_only_interfaces_have_no_address() -> None:
    listed = [
        {"networkCardIndex": 0, "deviceIndex": 0, "interfaceType": "interface"},
        {"networkCardIndex": 1, "deviceIndex": 1, "interfaceType": "efa-only"},
    ]
    spec = {"networkInterfaces": listed, "associatePublicIPAddress": True, "connectionTracking": {"udpTimeout": 45}}
    first, second = interfaces(spec, is_ipv6=True)
    assert (first["Ipv6AddressCount"], first["AssociatePublicIpAddress"]) == (1, True)
    assert second == {"NetworkCardIndex": 1, "DeviceIndex": 1, "InterfaceType": "efa-only", "Groups": ["sg-1"]}


@pytest.mark.parametrize(
    ("family", "lines"),
    [
        ("AL2", ("--ip-family ipv6 ", "--dns-cluster-ip 'fd12:3456::a' ")),
        ("AL2023", ("cidr: fd12:3456::/108", "fd12:3456::a")),
        ("Bottlerocket", ('cluster-dns-ip = "fd12:3456::a"',)),
    ],
)
def test_user_data_says_so(family: str, lines: tuple[str, ...]) -> None:
    kubelet = KubeletConfiguration(max_pods=29, cluster_dns=(IPV6.dns_ip,))
    text = render_user_data(family_of(family), Bootstrap(IPV6, kubelet))
    assert [line for line in lines if line not in text] == []
