"""The drift hash of an EC2NodeClass (spec 1.6.4): upstream's number for the same spec: taking over drifts nothing.

Left out are the selectors, `ipPrefixCount` and `amiFamily`; the effective family and the cluster's CA bundle are in.
Karpenter v1.14 writes version v5, v1.15 version v6, which hashes the kubelet's settings as the text that they are. What
v5 has no field for (kubelet settings that are handed on, expressions) makes a text of its own there, so that classes
without any keep upstream's number.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

from nodesmith.api.ec2nodeclass import (
    BlockDevice,
    BlockDeviceMapping,
    EC2NodeClass,
    EC2NodeClassSpec,
    KubeletConfiguration,
    MetadataOptions,
    NetworkInterface,
    kubelet_of,
    kubelet_passed_on,
)
from nodesmith.api.hashing import GoStruct, Int32, Pointer, hash_of, pointer
from nodesmith.api.scalars import DurationError, parse_duration
from nodesmith.model.labels import NODECLASS_HASH_VERSION_VALUE
from nodesmith.model.quantity import QuantityError, canonical

T = TypeVar("T")

_NANOS_PER_SECOND: Final = 10**9
WITH_KUBELET_AS_TEXT: Final = "v6"
VERSIONS: Final = (NODECLASS_HASH_VERSION_VALUE, WITH_KUBELET_AS_TEXT)


def node_class_hash(
    node_class: EC2NodeClass, *, ca_bundle: str = "", version: str = NODECLASS_HASH_VERSION_VALUE
) -> str:
    """The hash, in one of `VERSIONS`, of what a change of makes nodes drift."""
    spec, family = node_class.spec, node_class.ami_family
    if version != WITH_KUBELET_AS_TEXT:
        others = _beyond_v5(spec)
        return str(hash_of([go_spec(spec), family, ca_bundle, *([_text(others)] if others else [])]))
    return str(hash_of([go_spec(spec, with_kubelet=False), family, ca_bundle, _text(spec.kubelet or None)]))


def _beyond_v5(spec: EC2NodeClassSpec) -> dict[str, Any]:
    """The kubelet's settings that v1.14 did not have."""
    most = kubelet_of(spec).max_pods
    return kubelet_passed_on(spec) | ({"maxPods": most} if isinstance(most, str) else {})


def _text(kubelet: Any) -> str:
    """JSON as Go writes it, where a whole number has no fraction."""
    return json.dumps(_whole(kubelet), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _whole(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _whole(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def go_spec(spec: EC2NodeClassSpec, *, with_kubelet: bool = True) -> GoStruct:
    """The spec as upstream's Go struct; version v6 of the hash keeps the kubelet's settings apart."""
    group = spec.placement_group_selector
    tracking = spec.connection_tracking
    cpu = spec.cpu_options
    fields = [
        ("PlacementGroupSelector", group and _struct("PlacementGroupSelector", Name=group.name, ID=group.id)),
        ("AssociatePublicIPAddress", pointer(spec.associate_public_ip_address)),
        ("UserData", pointer(spec.user_data)),
        ("Role", spec.role),
        ("InstanceProfile", pointer(spec.instance_profile)),
        ("Tags", spec.tags or None),
        ("Kubelet", _kubelet(kubelet_of(spec)) if with_kubelet and spec.kubelet is not None else None),
        ("BlockDeviceMappings", _list(spec.block_device_mappings, _mapping)),
        ("InstanceStorePolicy", pointer(spec.instance_store_policy)),
        ("NetworkInterfaces", _list(spec.network_interfaces, _interface)),
        ("DetailedMonitoring", pointer(spec.detailed_monitoring)),
        ("MetadataOptions", _metadata(spec.metadata_options)),
        (
            "ConnectionTracking",
            tracking
            and _struct(
                "ConnectionTracking",
                TCPEstablishedTimeout=_int32(tracking.tcp_established_timeout),
                UDPStreamTimeout=_int32(tracking.udp_stream_timeout),
                UDPTimeout=_int32(tracking.udp_timeout),
            ),
        ),
        ("Context", pointer(spec.context)),
        ("CPUOptions", cpu and _struct("CPUOptions", NestedVirtualization=cpu.nested_virtualization)),
    ]
    return GoStruct("EC2NodeClassSpec", tuple(fields))


def _struct(name: str, **fields: Any) -> Pointer:
    """A pointer to a struct of pointers."""
    return Pointer(GoStruct(name, tuple((each, pointer(value)) for each, value in fields.items())))


def _list(values: Iterable[T], shape: Callable[[T], Any]) -> list[Any] | None:
    return [shape(value) for value in values] or None


def _mapping(mapping: BlockDeviceMapping) -> Pointer:
    fields = (
        ("DeviceName", pointer(mapping.device_name)),
        ("EBS", mapping.ebs and _block_device(mapping.ebs)),
        ("RootVolume", mapping.root_volume),
    )
    return Pointer(GoStruct("BlockDeviceMapping", fields))


def _block_device(device: BlockDevice) -> Pointer:
    return _struct(
        "BlockDevice",
        DeleteOnTermination=device.delete_on_termination,
        Encrypted=device.encrypted,
        IOPS=device.iops,
        KMSKeyID=device.kms_key_id,
        SnapshotID=device.snapshot_id,
        Throughput=device.throughput,
        VolumeInitializationRate=_int32(device.volume_initialization_rate),
        VolumeSize=None if device.volume_size is None else _canonical(device.volume_size),
        VolumeType=device.volume_type,
    )


def _interface(interface: NetworkInterface) -> Pointer:
    fields = (
        ("NetworkCardIndex", Int32(interface.network_card_index)),
        ("DeviceIndex", Int32(interface.device_index)),
        ("InterfaceType", interface.interface_type),
    )
    return Pointer(GoStruct("NetworkInterface", fields))


def _metadata(options: MetadataOptions) -> Pointer:
    return _struct(
        "MetadataOptions",
        HTTPEndpoint=options.http_endpoint,
        HTTPProtocolIPv6=options.http_protocol_ipv6,
        HTTPPutResponseHopLimit=options.http_put_response_hop_limit,
        HTTPTokens=options.http_tokens,
    )


def _kubelet(kubelet: KubeletConfiguration) -> Pointer:
    periods, most = kubelet.eviction_soft_grace_period, kubelet.max_pods
    fields = (
        ("ClusterDNS", None if kubelet.cluster_dns is None else list(kubelet.cluster_dns)),
        ("MaxPods", pointer(_int32(most if isinstance(most, int) else None))),
        ("PodsPerCore", pointer(_int32(kubelet.pods_per_core))),
        ("SystemReserved", kubelet.system_reserved),
        ("KubeReserved", kubelet.kube_reserved),
        ("EvictionHard", kubelet.eviction_hard),
        ("EvictionSoft", kubelet.eviction_soft),
        ("EvictionSoftGracePeriod", None if periods is None else _periods(periods)),
        ("EvictionMaxPodGracePeriod", pointer(_int32(kubelet.eviction_max_pod_grace_period))),
        ("ImageGCHighThresholdPercent", pointer(_int32(kubelet.image_gc_high_threshold_percent))),
        ("ImageGCLowThresholdPercent", pointer(_int32(kubelet.image_gc_low_threshold_percent))),
        ("CPUCFSQuota", pointer(kubelet.cpu_cfs_quota)),
    )
    return Pointer(GoStruct("KubeletConfiguration", fields))


def _periods(periods: Mapping[str, str]) -> dict[str, GoStruct]:
    return {name: GoStruct("Duration", (("Duration", _nanos(text)),)) for name, text in periods.items()}


def _nanos(text: str) -> int:
    try:
        return round(parse_duration(text).total_seconds() * _NANOS_PER_SECOND)
    except DurationError:
        return 0


def _int32(number: int | None) -> Int32 | None:
    return None if number is None else Int32(number)


def _canonical(size: str) -> str:
    try:
        return canonical(size)
    except QuantityError:
        return size
