"""An instance as DescribeInstances shows it, and the values its filters look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nodesmith.sim.aws import wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nodesmith.sim.aws.ec2.instance import BoxInstance


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags in AWS's form, by key."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def as_xml(instance: BoxInstance, tags: Mapping[str, str]) -> str:
    """The instance as one XML item; kept until something visible changes."""
    key = (
        instance.state,
        frozenset(tags.items()),
        id(instance.metadata_options),
        tuple(group.id for group in instance.security_groups),
        instance.monitoring_state,
        instance.capacity_reservation_id,
        instance.partition_number,
        str(instance.iam_instance_profile),
    )
    if instance.rendered is None or instance.rendered[0] != key:
        shape = wire.output_shape("ec2", "DescribeInstances").members["Reservations"].member.members["Instances"].member
        instance.rendered = (key, wire.ec2_item(shape, as_dict(instance, tags)))
    return instance.rendered[1]


def as_dict(instance: BoxInstance, tags: Mapping[str, str]) -> dict[str, Any]:
    """The instance under botocore's names."""
    groups = [{"GroupId": group.id, "GroupName": group.name} for group in instance.security_groups]
    is_gone = instance.state == "terminated"
    nics = [] if is_gone else [_interface(instance, nic, groups) for nic in instance.nics.values()]
    shown: dict[str, Any] = {
        "InstanceId": instance.id,
        "ImageId": instance.image_id,
        "InstanceType": instance.instance_type,
        "State": {"Code": instance.state_code, "Name": instance.state},
        "StateTransitionReason": instance.state_transition_reason or "",
        "PrivateDnsName": "" if is_gone else instance.private_dns_name,
        "PublicDnsName": "" if is_gone else instance.public_dns_name or "",
        "KeyName": instance.key_name,
        "AmiLaunchIndex": 0,
        "LaunchTime": instance.launch_time,
        "Placement": _placement(instance),
        "Monitoring": {"State": instance.monitoring_state},
        "SubnetId": None if is_gone else instance.subnet_id,
        "VpcId": None if is_gone else instance.vpc_id,
        "PrivateIpAddress": None if is_gone else instance.private_ip,
        "PublicIpAddress": None if is_gone else instance.public_ip,
        "Architecture": instance.architecture,
        "BlockDeviceMappings": _devices(instance),
        "ClientToken": instance.client_token or "",
        "EbsOptimized": instance.ebs_optimized,
        "EnaSupport": True,
        "Hypervisor": "xen",
        "IamInstanceProfile": instance.iam_instance_profile,
        "InstanceLifecycle": instance.lifecycle,
        "NetworkInterfaces": nics,
        "RootDeviceName": instance.root_device_name,
        "RootDeviceType": "ebs",
        "SecurityGroups": [] if is_gone else groups,
        "SourceDestCheck": True,
        "SpotInstanceRequestId": instance.spot_instance_request_id,
        "CapacityReservationId": instance.capacity_reservation_id,
        "CapacityReservationSpecification": _reservation(instance),
        "CpuOptions": instance.cpu_options or None,
        "EnclaveOptions": {"Enabled": bool(instance.enclave_options.get("Enabled"))},
        "Tags": tag_list(tags),
        "VirtualizationType": "hvm",
        "Platform": instance.platform,
        "PlatformDetails": "Windows" if instance.platform == "windows" else "Linux/UNIX",
        "MetadataOptions": _metadata(instance),
    }
    if instance.state_reason.code:
        shown["StateReason"] = {"Code": instance.state_reason.code, "Message": instance.state_reason.message}
    return shown


def _placement(instance: BoxInstance) -> dict[str, Any]:
    return {
        "AvailabilityZone": instance.availability_zone,
        "GroupName": instance.placement_spec.get("GroupName", ""),
        "GroupId": instance.placement_spec.get("GroupId"),
        "PartitionNumber": instance.partition_number,
        "Tenancy": instance.placement_spec.get("Tenancy", "default"),
    }


def _reservation(instance: BoxInstance) -> dict[str, Any]:
    spec = dict(instance.capacity_reservation_spec) or {"CapacityReservationPreference": "open"}
    target = spec.pop("CapacityReservationTarget", None)
    return {**spec, "CapacityReservationTarget": target} if target else spec


def _metadata(instance: BoxInstance) -> dict[str, Any]:
    options = instance.metadata_options
    return {
        "State": options.state,
        "HttpTokens": options.http_tokens,
        "HttpPutResponseHopLimit": options.http_put_response_hop_limit,
        "HttpEndpoint": options.http_endpoint,
        "HttpProtocolIpv6": options.http_protocol_ipv6,
        "InstanceMetadataTags": options.instance_metadata_tags,
    }


def _devices(instance: BoxInstance) -> list[dict[str, Any]]:
    return [
        {
            "DeviceName": name,
            "Ebs": {
                "VolumeId": device.volume_id,
                "Status": "attached",
                "DeleteOnTermination": device.delete_on_termination,
                "AttachTime": instance.launch_time,
            },
        }
        for name, device in instance.get_block_device_mapping
    ]


def _interface(instance: BoxInstance, nic: Any, groups: list[dict[str, str]]) -> dict[str, Any]:
    spec = instance.nic_details.get(nic.id, {})
    return {
        "NetworkInterfaceId": nic.id,
        "SubnetId": nic.subnet.id,
        "VpcId": nic.subnet.vpc_id,
        "Description": nic.description,
        "OwnerId": instance.owner_id,
        "Status": "in-use",
        "MacAddress": nic.mac_address,
        "PrivateIpAddress": nic.private_ip_address,
        "PrivateDnsName": instance.private_dns_name,
        "SourceDestCheck": True,
        "InterfaceType": spec.get("InterfaceType", "interface"),
        "Groups": groups,
        "Attachment": {
            "AttachmentId": nic.attachment_id,
            "AttachTime": instance.launch_time,
            "DeleteOnTermination": True,
            "DeviceIndex": spec.get("DeviceIndex", nic.device_index),
            "NetworkCardIndex": spec.get("NetworkCardIndex", 0),
            "Status": "attached",
        },
        "PrivateIpAddresses": [
            {
                "Primary": True,
                "PrivateIpAddress": nic.private_ip_address,
                "PrivateDnsName": instance.private_dns_name,
            }
        ],
        "Ipv6Addresses": [{"Ipv6Address": address} for address in nic.ipv6_addresses],
    }


def filter_values(instance: BoxInstance, name: str) -> Sequence[str] | None:
    """The values that a DescribeInstances filter looks at, or None where EC2 has no such filter."""
    reader = _FILTERS.get(name)
    if reader is None:
        return None
    value = reader(instance)
    if value is None:
        return ()
    if isinstance(value, list | tuple):
        return [str(entry) for entry in value]
    if isinstance(value, bool):
        return (str(value).lower(),)
    return (str(value),)


_FILTERS: Mapping[str, Any] = {
    "affinity": lambda i: None,  # noqa: ARG005 - nothing of ours has an affinity
    "architecture": lambda i: i.architecture,
    "availability-zone": lambda i: i.availability_zone,
    "capacity-reservation-id": lambda i: i.capacity_reservation_id,
    "client-token": lambda i: i.client_token,
    "dns-name": lambda i: i.public_dns_name,
    "group-id": lambda i: [g.id for g in i.security_groups],
    "group-name": lambda i: [g.name for g in i.security_groups],
    "hypervisor": lambda _: "xen",
    "iam-instance-profile.arn": lambda i: (i.iam_instance_profile or {}).get("Arn"),
    "image-id": lambda i: i.image_id,
    "instance-id": lambda i: i.id,
    "instance-lifecycle": lambda i: i.lifecycle,
    "instance-state-code": lambda i: i.state_code,
    "instance-state-name": lambda i: i.state,
    "instance-type": lambda i: i.instance_type,
    "instance.group-id": lambda i: [g.id for g in i.security_groups],
    "instance.group-name": lambda i: [g.name for g in i.security_groups],
    "ip-address": lambda i: i.public_ip,
    "key-name": lambda i: i.key_name,
    "launch-time": lambda i: wire.timestamp(i.launch_time),
    "metadata-options.http-tokens": lambda i: i.metadata_options.http_tokens,
    "monitoring-state": lambda i: i.monitoring_state,
    "network-interface.network-interface-id": lambda i: [n.id for n in i.nics.values()],
    "network-interface.subnet-id": lambda i: [n.subnet.id for n in i.nics.values()],
    "owner-id": lambda i: i.owner_id,
    "placement-group-name": lambda i: i.placement_spec.get("GroupName"),
    "placement-partition-number": lambda i: i.partition_number,
    "platform": lambda i: i.platform,
    "private-dns-name": lambda i: i.private_dns_name,
    "private-ip-address": lambda i: i.private_ip,
    "root-device-name": lambda i: i.root_device_name,
    "spot-instance-request-id": lambda i: i.spot_instance_request_id,
    "state-reason-code": lambda i: i.state_reason.code,
    "subnet-id": lambda i: i.subnet_id,
    "tenancy": lambda i: i.placement_spec.get("Tenancy", "default"),
    "virtualization-type": lambda _: "hvm",
    "vpc-id": lambda i: i.vpc_id,
}
