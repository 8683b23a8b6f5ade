"""EC2NodeClass' JSON (spec 1.6.1 to 1.6.3)."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import field

from nodesmith.api.wire.base import Wire
from nodesmith.api.wire.nodepool import RequirementWire


class SubnetSelectorTerm(Wire, frozen=True, kw_only=True):
    """One way to find subnets."""

    tags: Mapping[str, str] = field(default_factory=dict)
    id: str = ""


class SecurityGroupSelectorTerm(Wire, frozen=True, kw_only=True):
    """One way to find security groups."""

    tags: Mapping[str, str] = field(default_factory=dict)
    id: str = ""
    name: str = ""


class CapacityReservationSelectorTerm(Wire, frozen=True, kw_only=True):
    """One way to find capacity reservations."""

    tags: Mapping[str, str] = field(default_factory=dict)
    id: str = ""
    owner_id: str = ""
    instance_match_criteria: str = ""


class AMISelectorTerm(Wire, frozen=True, kw_only=True):
    """One way to find images."""

    alias: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    id: str = ""
    name: str = ""
    owner: str = ""
    ssm_parameter: str = ""


class PlacementGroupSelector(Wire, frozen=True, kw_only=True):
    """The placement group that instances go to."""

    name: str | None = None
    id: str | None = None


class KubeletConfiguration(Wire, frozen=True, kw_only=True):
    """Kubelet settings."""

    cluster_dns: tuple[str, ...] | None = None
    max_pods: int | None = None
    pods_per_core: int | None = None
    system_reserved: dict[str, str] | None = None
    kube_reserved: dict[str, str] | None = None
    eviction_hard: dict[str, str] | None = None
    eviction_soft: dict[str, str] | None = None
    eviction_soft_grace_period: dict[str, str] | None = None
    eviction_max_pod_grace_period: int | None = None
    image_gc_high_threshold_percent: int | None = None
    image_gc_low_threshold_percent: int | None = None
    cpu_cfs_quota: bool | None = None


class BlockDevice(Wire, frozen=True, kw_only=True):
    """One EBS volume."""

    delete_on_termination: bool | None = None
    encrypted: bool | None = None
    iops: int | None = None
    kms_key_id: str | None = None
    snapshot_id: str | None = None
    throughput: int | None = None
    volume_initialization_rate: int | None = None
    volume_size: str | None = None
    volume_type: str | None = None


class BlockDeviceMapping(Wire, frozen=True, kw_only=True):
    """A device name and the volume behind it."""

    device_name: str | None = None
    ebs: BlockDevice | None = None
    root_volume: bool = False


class NetworkInterface(Wire, frozen=True, kw_only=True):
    """One network interface."""

    network_card_index: int = 0
    device_index: int = 0
    interface_type: str = "interface"


class MetadataOptions(Wire, frozen=True, kw_only=True):
    """The instance metadata service."""

    http_endpoint: str | None = "enabled"
    http_protocol_ipv6: str | None = "disabled"
    http_put_response_hop_limit: int | None = 1
    http_tokens: str | None = "required"


class ConnectionTracking(Wire, frozen=True, kw_only=True):
    """Idle timeouts of connection tracking, in seconds."""

    tcp_established_timeout: int | None = None
    udp_stream_timeout: int | None = None
    udp_timeout: int | None = None


class CPUOptions(Wire, frozen=True, kw_only=True):
    """CPU features."""

    nested_virtualization: str | None = None


class EC2NodeClassSpec(Wire, frozen=True, kw_only=True):
    """What is asked for."""

    subnet_selector_terms: tuple[SubnetSelectorTerm, ...] = ()
    security_group_selector_terms: tuple[SecurityGroupSelectorTerm, ...] = ()
    capacity_reservation_selector_terms: tuple[CapacityReservationSelectorTerm, ...] = ()
    placement_group_selector: PlacementGroupSelector | None = None
    associate_public_ip_address: bool | None = None
    ip_prefix_count: int | None = None
    ami_selector_terms: tuple[AMISelectorTerm, ...] = ()
    ami_family: str | None = None
    user_data: str | None = None
    role: str = ""
    instance_profile: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    kubelet: KubeletConfiguration | None = None
    block_device_mappings: tuple[BlockDeviceMapping, ...] = ()
    instance_store_policy: str | None = None
    network_interfaces: tuple[NetworkInterface, ...] = ()
    detailed_monitoring: bool | None = None
    metadata_options: MetadataOptions = MetadataOptions()
    connection_tracking: ConnectionTracking | None = None
    context: str | None = None
    cpu_options: CPUOptions | None = None


class Subnet(Wire, frozen=True, kw_only=True):
    """A subnet that was found."""

    id: str
    zone: str
    zone_id: str = ""


class SecurityGroup(Wire, frozen=True, kw_only=True):
    """A security group that was found."""

    id: str
    name: str = ""


class CapacityReservation(Wire, frozen=True, kw_only=True):
    """A capacity reservation that was found."""

    id: str
    availability_zone: str = ""
    instance_match_criteria: str = ""
    instance_type: str = ""
    owner_id: str = ""
    reservation_type: str = "default"
    interruptible: bool = False
    state: str = "active"
    end_time: str | None = None


class AMI(Wire, frozen=True, kw_only=True):
    """An image that was found."""

    id: str
    name: str = ""
    deprecated: bool = False
    requirements: tuple[RequirementWire, ...] = ()


class EC2NodeClassStatusWire(Wire, frozen=True, kw_only=True):
    """What was found."""

    subnets: tuple[Subnet, ...] = ()
    security_groups: tuple[SecurityGroup, ...] = ()
    capacity_reservations: tuple[CapacityReservation, ...] = ()
    amis: tuple[AMI, ...] = ()
    instance_profile: str = ""
