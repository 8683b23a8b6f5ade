"""What a launch template says where the recorded launches have no example."""

from __future__ import annotations

from typing import Any

import pytest

from nodesmith.adapters.aws.families import family_of
from nodesmith.adapters.aws.launchtemplate import TemplateOptions, build_template
from nodesmith.api.ec2nodeclass import decode_ec2nodeclass


def data(spec: dict[str, Any] | None = None, **options: Any) -> Any:
    stated: dict[str, Any] = {
        "image_id": "ami-1",
        "user_data": "",
        "spec": decode_ec2nodeclass({"spec": spec or {}}).spec,
        "family": family_of("AL2023"),
        "security_groups": ("sg-1",),
        "profile": "p",
        "tags": {},
        "region": "us-west-2",
        "capacity_type": "on-demand",
    }
    return build_template(TemplateOptions(**(stated | options))).data


@pytest.mark.parametrize(
    ("kind", "is_interruptible", "market"),
    [
        ("default", False, None),
        ("capacity-block", False, {"MarketType": "capacity-block"}),
        ("default", True, {"MarketType": "interruptible-capacity-reservation"}),
    ],
)
def test_a_reservation_is_drawn_on_alone_and_on_its_own_market(
    kind: str, *, is_interruptible: bool, market: dict[str, str] | None
) -> None:
    made = data(
        capacity_type="reserved",
        reservation_id="cr-1",
        reservation_type=kind,
        reservation_interruptible=is_interruptible,
    )
    assert made["CapacityReservationSpecification"] == {
        "CapacityReservationPreference": "capacity-reservations-only",
        "CapacityReservationTarget": {"CapacityReservationId": "cr-1"},
    }
    assert made.get("InstanceMarketOptions") == market


def test_open_reservations_are_left_alone_where_reservations_are_minded() -> None:
    assert data()["CapacityReservationSpecification"] == {"CapacityReservationPreference": "none"}
    assert "CapacityReservationSpecification" not in data(is_reserved_capacity_enabled=False)


@pytest.mark.parametrize(
    ("region", "has_ipv6"),
    [("us-west-2", True), ("us-iso-east-1", False), ("us-isob-east-1", False), ("us-isof-south-1", False)],
)
def test_the_metadata_service_speaks_ipv6_where_the_region_knows_of_it(region: str, *, has_ipv6: bool) -> None:
    options = data(region=region)["MetadataOptions"]
    assert ("HttpProtocolIpv6" in options) is has_ipv6
    assert options["InstanceMetadataTags"] == "disabled"


def test_every_card_has_its_efa_and_the_first_has_the_address() -> None:
    tracking = {"udpTimeout": 45}
    spec = {"associatePublicIPAddress": False, "connectionTracking": tracking}
    made = data(spec, efa_count=3)["NetworkInterfaces"]
    assert [(each["NetworkCardIndex"], each["DeviceIndex"], each["InterfaceType"]) for each in made] == [
        (0, 0, "efa"),
        (1, 1, "efa"),
        (2, 1, "efa"),
    ]
    assert [each.get("AssociatePublicIpAddress") for each in made] == [False, None, None]
    assert all(each["ConnectionTrackingSpecification"] == {"UdpTimeout": 45} for each in made)


def test_a_volume_is_as_large_as_it_was_asked_for_at_least() -> None:
    sizes = {"20G": 19, "1Gi": 1, "1025Mi": 2}
    for asked, gib in sizes.items():
        ebs = {"volumeSize": asked, "volumeType": "gp3", "iops": 0, "throughput": 0}
        (disk,) = data({"blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": ebs}]})["BlockDeviceMappings"]
        assert disk == {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": gib, "VolumeType": "gp3"}}


def test_an_instance_is_where_it_was_asked_to_be() -> None:
    assert data(tenancy="dedicated")["Placement"] == {"Tenancy": "dedicated"}
    placed = data(placement_group="pg-1", partition="2")["Placement"]
    assert placed == {"Tenancy": "default", "GroupId": "pg-1", "PartitionNumber": 2}
