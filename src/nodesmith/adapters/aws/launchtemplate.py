"""Launch templates as data: what an instance is made from, and the name that says so (spec 7.9).

A template's name is a hash of its whole content, so a template is never changed: what differs has another name.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from nodesmith.adapters.aws.families import Family
from nodesmith.adapters.aws.names import GIB, LAUNCH_TEMPLATE_PREFIX
from nodesmith.adapters.aws.tags import tag_list
from nodesmith.api.ec2nodeclass import BlockDevice, BlockDeviceMapping, EC2NodeClassSpec
from nodesmith.model.labels import SPOT
from nodesmith.model.quantity import parse

_NO_IPV6_METADATA: Final = ("us-iso-", "us-isob-", "us-isof-")


@dataclass(frozen=True, slots=True)
class TemplateOptions:
    """Everything that a launch template depends on. Reservation and group fields are empty where there is none."""

    image_id: str
    user_data: str
    spec: EC2NodeClassSpec
    family: Family
    security_groups: tuple[str, ...]
    profile: str
    tags: Mapping[str, str]
    region: str
    capacity_type: str
    tenancy: str = "default"
    efa_count: int = 0
    reservation_id: str = ""
    reservation_type: str = ""
    reservation_interruptible: bool = False
    placement_group: str = ""
    partition: str = ""
    is_ipv6: bool = False
    has_enclave: bool = False
    is_reserved_capacity_enabled: bool = True


@dataclass(frozen=True, slots=True)
class LaunchTemplate:
    """A template: its name and what CreateLaunchTemplate is asked for."""

    name: str
    data: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def user_data_bytes(self) -> int:
        """How large the user data is, as the instance gets it."""
        return len(base64.b64decode(self.data.get("UserData", "")))

    def request(self) -> dict[str, Any]:
        """CreateLaunchTemplate's parameters."""
        return {
            "LaunchTemplateName": self.name,
            "LaunchTemplateData": self.data,
            "TagSpecifications": [{"ResourceType": "launch-template", "Tags": tag_list(self.tags)}],
        }


def build_template(options: TemplateOptions) -> LaunchTemplate:
    """The template for the options."""
    data = _template_data(options)
    digest = hashlib.sha256(json.dumps([data, tag_list(options.tags)], sort_keys=True).encode()).digest()
    name = f"{LAUNCH_TEMPLATE_PREFIX}/{int.from_bytes(digest[:8], 'big')}"
    return LaunchTemplate(name, data, options.tags)


def _template_data(options: TemplateOptions) -> dict[str, Any]:
    spec = options.spec
    data: dict[str, Any] = {
        "ImageId": options.image_id,
        "UserData": base64.b64encode(options.user_data.encode()).decode(),
        "IamInstanceProfile": {"Name": options.profile},
        "Monitoring": {"Enabled": bool(spec.detailed_monitoring)},
        "MetadataOptions": _metadata(options),
        "NetworkInterfaces": _interfaces(options),
        "TagSpecifications": [
            {"ResourceType": kind, "Tags": tag_list(options.tags)} for kind in _tagged_kinds(options.capacity_type)
        ],
        "Placement": _placement(options),
        "EnclaveOptions": {"Enabled": options.has_enclave},
    }
    if disks := _block_devices(spec.block_device_mappings or options.family.disks):
        data["BlockDeviceMappings"] = disks
    if spec.cpu_options and spec.cpu_options.nested_virtualization:
        data["CpuOptions"] = {"NestedVirtualization": spec.cpu_options.nested_virtualization}
    return data | _reservation(options)


def _tagged_kinds(capacity_type: str) -> Sequence[str]:
    return ("network-interface", "spot-instances-request") if capacity_type == SPOT else ("network-interface",)


def _metadata(options: TemplateOptions) -> dict[str, Any]:
    given = options.spec.metadata_options
    stated = {
        "HttpEndpoint": given.http_endpoint,
        "HttpProtocolIpv6": given.http_protocol_ipv6,
        "HttpPutResponseHopLimit": given.http_put_response_hop_limit,
        "HttpTokens": given.http_tokens,
        "InstanceMetadataTags": "disabled",
    }
    if options.region.startswith(_NO_IPV6_METADATA):
        del stated["HttpProtocolIpv6"]
    return {key: value for key, value in stated.items() if value is not None}


def _placement(options: TemplateOptions) -> dict[str, Any]:
    placement: dict[str, Any] = {"Tenancy": options.tenancy}
    if options.placement_group:
        placement["GroupId"] = options.placement_group
    if options.partition:
        placement["PartitionNumber"] = int(options.partition)
    return placement


def _reservation(options: TemplateOptions) -> dict[str, Any]:
    if not options.is_reserved_capacity_enabled:
        return {}
    if not options.reservation_id:
        return {"CapacityReservationSpecification": {"CapacityReservationPreference": "none"}}
    stated: dict[str, Any] = {
        "CapacityReservationSpecification": {
            "CapacityReservationPreference": "capacity-reservations-only",
            "CapacityReservationTarget": {"CapacityReservationId": options.reservation_id},
        }
    }
    if options.reservation_type == "capacity-block":
        stated["InstanceMarketOptions"] = {"MarketType": "capacity-block"}
    elif options.reservation_interruptible:
        stated["InstanceMarketOptions"] = {"MarketType": "interruptible-capacity-reservation"}
    return stated


def _interfaces(options: TemplateOptions) -> list[dict[str, Any]]:
    groups = {"Groups": list(options.security_groups)}
    if options.spec.network_interfaces:
        return [
            {
                "NetworkCardIndex": each.network_card_index,
                "DeviceIndex": each.device_index,
                "InterfaceType": each.interface_type,
                **groups,
                **({} if each.interface_type == "efa-only" else _addressing(options)),
            }
            for each in options.spec.network_interfaces
        ]
    if options.efa_count:
        return [
            {
                "NetworkCardIndex": card,
                "DeviceIndex": 0 if card == 0 else 1,
                "InterfaceType": "efa",
                **groups,
                **(_addressing(options) if card == 0 else _tracking(options)),
            }
            for card in range(options.efa_count)
        ]
    return [{"DeviceIndex": 0, **groups, **_addressing(options)}]


def _addressing(options: TemplateOptions) -> dict[str, Any]:
    spec = options.spec
    stated: dict[str, Any] = _tracking(options)
    if spec.associate_public_ip_address is not None:
        stated["AssociatePublicIpAddress"] = spec.associate_public_ip_address
    if spec.ip_prefix_count:
        stated["Ipv6PrefixCount" if options.is_ipv6 else "Ipv4PrefixCount"] = spec.ip_prefix_count
    if options.is_ipv6:
        stated |= {"PrimaryIpv6": True, "Ipv6AddressCount": 1}
    return stated


def _tracking(options: TemplateOptions) -> dict[str, Any]:
    tracking = options.spec.connection_tracking
    if tracking is None:
        return {}
    stated = {
        "TcpEstablishedTimeout": tracking.tcp_established_timeout,
        "UdpStreamTimeout": tracking.udp_stream_timeout,
        "UdpTimeout": tracking.udp_timeout,
    }
    return {"ConnectionTrackingSpecification": {key: value for key, value in stated.items() if value is not None}}


def _block_devices(disks: Sequence[BlockDeviceMapping]) -> list[dict[str, Any]]:
    return [
        {"DeviceName": disk.device_name, **({"Ebs": _volume(disk.ebs)} if disk.ebs is not None else {})}
        for disk in disks
    ]


def _volume(volume: BlockDevice) -> dict[str, Any]:
    size = -(-parse(volume.volume_size) // GIB) if volume.volume_size else None
    stated: dict[str, Any] = {
        "DeleteOnTermination": volume.delete_on_termination,
        "Encrypted": volume.encrypted,
        "Iops": volume.iops or None,
        "KmsKeyId": volume.kms_key_id,
        "SnapshotId": volume.snapshot_id,
        "Throughput": volume.throughput or None,
        "VolumeInitializationRate": volume.volume_initialization_rate,
        "VolumeSize": size,
        "VolumeType": volume.volume_type,
    }
    return {key: value for key, value in stated.items() if value is not None}
