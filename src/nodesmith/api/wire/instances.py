"""Disks, network, metadata and CPU of the instances of an EC2NodeClass."""

from __future__ import annotations

from typing import Annotated, Any, Final

from nodesmith.api.wire.base import Wire
from nodesmith.api.wire.checks import has, items_of, repeated, whole
from nodesmith.api.wire.field import Field, Places, Rule

VOLUME_TYPES: Final = ("standard", "io1", "io2", "gp2", "sc1", "st1", "gp3")

_SIZES: Final = (
    r"^((?:[1-9][0-9]{0,3}|[1-4][0-9]{4}|[5][0-8][0-9]{3}|59000)Gi"
    r"|(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|[6][0-3][0-9]{3}|64000)G"
    r"|(?:[1-9]|[1-4][0-9]|5[0-8])Ti|(?:[1-9]|[1-5][0-9]|6[0-4])T)$"
)


class BlockDevice(Wire, frozen=True, kw_only=True):
    """An EBS volume."""

    RULES = (
        Rule(
            cel="has(self.snapshotID) || has(self.volumeSize)",
            message="snapshotID or volumeSize must be defined",
            broken=whole(lambda ebs: has(ebs, "snapshotID") or has(ebs, "volumeSize")),
            hint="give a volumeSize, such as 20Gi",
        ),
        Rule(
            cel="!has(self.volumeInitializationRate) || (has(self.snapshotID) && self.snapshotID != '')",
            message="snapshotID must be set when volumeInitializationRate is set",
            broken=whole(
                lambda ebs: not has(ebs, "volumeInitializationRate") or bool(ebs.get("snapshotID")),
                "volumeInitializationRate",
            ),
            hint="only a volume made from a snapshot is initialised",
        ),
    )

    delete_on_termination: Annotated[bool | None, Field("Whether it goes with the instance.")] = None
    encrypted: Annotated[bool | None, Field("Whether it is encrypted.")] = None
    iops: Annotated[int | None, Field("I/O operations a second, for io1, io2 and gp3.", format="int64")] = None
    kms_key_id: Annotated[str | None, Field("Key that it is encrypted with.")] = None
    snapshot_id: Annotated[str | None, Field("Snapshot that it is made from.")] = None
    throughput: Annotated[int | None, Field("MiB a second, for gp3.", format="int64")] = None
    volume_initialization_rate: Annotated[
        int | None, Field("MiB a second at which a snapshot is read in.", minimum=100, maximum=300, format="int32")
    ] = None
    volume_size: Annotated[
        str | None, Field("Its size.", pattern=_SIZES, hint="a whole number of Gi, G, Ti or T, up to 58Ti: 20Gi")
    ] = None
    volume_type: Annotated[str | None, Field("Its type.", enum=VOLUME_TYPES)] = None


class BlockDeviceMapping(Wire, frozen=True, kw_only=True):
    """A device name and the volume behind it."""

    device_name: Annotated[str | None, Field("Name of the device, such as /dev/xvda.")] = None
    ebs: Annotated[BlockDevice | None, Field("The volume.")] = None
    root_volume: Annotated[bool, Field("Whether it holds the kubelet's and the containers' data.")] = False


def _later_roots(mappings: Any) -> Places:
    roots = [index for index, mapping in items_of(mappings) if mapping.get("rootVolume") is True]
    return [(index, "rootVolume") for index in roots[1:]]


ONE_ROOT: Final = Rule(
    cel="self.filter(x, has(x.rootVolume) ? x.rootVolume == true : false).size() <= 1",
    message="must have only one blockDeviceMappings with rootVolume",
    broken=_later_roots,
    hint="one volume holds the kubelet's data: leave rootVolume out here",
)


class NetworkInterface(Wire, frozen=True, kw_only=True):
    """A network interface."""

    network_card_index: Annotated[int, Field("Which network card.", minimum=0, is_required=True, format="int32")] = 0
    device_index: Annotated[int, Field("Which device.", minimum=0, is_required=True, format="int32")] = 0
    interface_type: Annotated[str, Field("What it is for.", enum=("interface", "efa-only"), is_required=True)] = (
        "interface"
    )


def _has_primary(interfaces: Any) -> bool:
    return not interfaces or any(
        (each.get("networkCardIndex"), each.get("deviceIndex"), each.get("interfaceType")) == (0, 0, "interface")
        for _, each in items_of(interfaces)
    )


def _same_place(interfaces: Any) -> Places:
    places = [(each.get("networkCardIndex"), each.get("deviceIndex")) for _, each in items_of(interfaces)]
    return [(index,) for index in repeated(places)]


def _second_efa(interfaces: Any) -> Places:
    cards = [
        each.get("networkCardIndex") if each.get("interfaceType") == "efa-only" else None
        for _, each in items_of(interfaces)
    ]
    return [(index,) for index in repeated(cards)]


INTERFACE_RULES: Final = (
    Rule(
        cel=(
            "self.size() == 0 || self.exists(x, x.networkCardIndex == 0 && x.deviceIndex == 0 && "
            "x.interfaceType == 'interface')"
        ),
        message="must have a primary network interface",
        broken=whole(_has_primary),
        hint="one entry has card 0, device 0 and the type interface",
    ),
    Rule(
        cel=(
            "self.all(x, self.exists_one(y, x.networkCardIndex == y.networkCardIndex && "
            "x.deviceIndex == y.deviceIndex))"
        ),
        message="network interfaces must have unique network card and device index",
        broken=_same_place,
        hint="give it a deviceIndex of its own",
    ),
    Rule(
        cel=(
            "self.all(x, x.interfaceType != 'efa-only' || self.exists_one(y, y.interfaceType == 'efa-only' && "
            "x.networkCardIndex == y.networkCardIndex))"
        ),
        message="only one efa-only interface is allowed per network card",
        broken=_second_efa,
        hint="put it on another network card",
    ),
)


class MetadataOptions(Wire, frozen=True, kw_only=True):
    """The instance metadata service."""

    http_endpoint: Annotated[
        str | None, Field("Whether it answers.", enum=("enabled", "disabled"), default="enabled")
    ] = "enabled"
    http_protocol_ipv6: Annotated[
        str | None, Field("Whether it answers over IPv6.", enum=("enabled", "disabled"), default="disabled")
    ] = "disabled"
    http_put_response_hop_limit: Annotated[
        int | None,
        Field("How many hops a token may travel; 1 keeps pods away.", minimum=1, maximum=64, default=1, format="int64"),
    ] = 1
    http_tokens: Annotated[
        str | None, Field("Whether a token is asked for (IMDSv2).", enum=("required", "optional"), default="required")
    ] = "required"


class ConnectionTracking(Wire, frozen=True, kw_only=True):
    """After how many seconds idle connections are forgotten."""

    RULES = (
        Rule(
            cel="has(self.tcpEstablishedTimeout) || has(self.udpStreamTimeout) || has(self.udpTimeout)",
            message="at least one connection tracking timeout must be set",
            broken=whole(
                lambda each: any(
                    has(each, name) for name in ("tcpEstablishedTimeout", "udpStreamTimeout", "udpTimeout")
                )
            ),
            hint="tcpEstablishedTimeout, udpStreamTimeout or udpTimeout, in seconds",
        ),
    )

    tcp_established_timeout: Annotated[
        int | None, Field("Of established TCP.", minimum=60, maximum=432000, format="int32")
    ] = None
    udp_stream_timeout: Annotated[
        int | None, Field("Of UDP with more than one answer.", minimum=60, maximum=180, format="int32")
    ] = None
    udp_timeout: Annotated[int | None, Field("Of other UDP.", minimum=30, maximum=60, format="int32")] = None


class CPUOptions(Wire, frozen=True, kw_only=True):
    """Features of the CPU."""

    nested_virtualization: Annotated[
        str | None, Field("Whether virtual machines can run in the instance.", enum=("enabled", "disabled"))
    ] = None
