"""EC2NodeClass' JSON (spec 1.6.1 to 1.6.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from msgspec import field

from nodesmith.api.wire.base import Wire
from nodesmith.api.wire.checks import counts, each_key, has, items_of, whole
from nodesmith.api.wire.common import CONDITIONS_FIELD, ConditionWire, RequirementWire
from nodesmith.api.wire.field import Field, Places, Rule
from nodesmith.api.wire.instances import (
    INTERFACE_RULES,
    ONE_ROOT,
    BlockDeviceMapping,
    ConnectionTracking,
    CPUOptions,
    MetadataOptions,
    NetworkInterface,
)
from nodesmith.api.wire.kubelet import KubeletConfiguration
from nodesmith.api.wire.kubeletfields import OTHER_FIELDS
from nodesmith.api.wire.selectors import (
    AMIS_FIELD,
    CAPACITY_RESERVATIONS_FIELD,
    FAMILY_OF_ALIAS,
    SECURITY_GROUPS_FIELD,
    SUBNETS_FIELD,
    AMISelectorTerm,
    CapacityReservationSelectorTerm,
    PlacementGroupSelector,
    SecurityGroupSelectorTerm,
    SubnetSelectorTerm,
    family_of,
)
from nodesmith.model.labels import GROUP, NODECLASS

AMI_FAMILIES: Final = ("AL2", "AL2023", "Bottlerocket", "Custom", "Windows2019", "Windows2022", "Windows2025")
OWN_TAGS: Final = ("eks:eks-cluster-name", f"{GROUP}/nodepool", f"{GROUP}/nodeclaim", NODECLASS)
OWN_TAG_PREFIX: Final = "kubernetes.io/cluster"
_ROLE_HINT: Final = "the node role's name; its instance profile is made for you"


def _own_tag(key: str) -> Rule:
    return Rule(
        cel=f"self.all(x, x != '{key}')",
        message=f"tag contains a restricted tag matching {key}",
        broken=each_key(lambda each: each != key),
        hint="this tag is set on every instance anyway",
    )


TAGS_FIELD: Final = Field(
    "Tags of everything that is made: instances, volumes, interfaces, launch templates.",
    rules=(
        Rule(
            cel="self.all(k, k != '')",
            message="empty tag keys aren't supported",
            broken=each_key(lambda key: key != ""),
            hint="give the tag a name",
        ),
        *(_own_tag(key) for key in OWN_TAGS),
        Rule(
            cel=f"self.all(x, !x.startsWith('{OWN_TAG_PREFIX}'))",
            message=f"tag contains a restricted tag matching {OWN_TAG_PREFIX}/",
            broken=each_key(lambda key: not key.startswith(OWN_TAG_PREFIX)),
            hint="this tag is set on every instance anyway",
        ),
    ),
)


def _aliases(spec: Any) -> list[str]:
    return [str(term["alias"]) for _, term in items_of(spec.get("amiSelectorTerms")) if has(term, "alias")]


def _has_family(spec: Any) -> bool:
    return bool(_aliases(spec)) or has(spec, "amiFamily") or not spec.get("amiSelectorTerms")


def _family_fits_alias(spec: Any) -> bool:
    family, aliases = spec.get("amiFamily"), _aliases(spec)
    if not aliases or family == "Custom" or family not in AMI_FAMILIES:
        return True
    return all(FAMILY_OF_ALIAS.get(family_of(alias), family) == family for alias in aliases)


def _not_taken(spec: Any) -> Places:
    """Kubelet settings that only AL2023's set-up passes on, where the images are of a family with one of its own."""
    aliases, family = _aliases(spec), spec.get("amiFamily")
    family = family or (FAMILY_OF_ALIAS.get(family_of(aliases[0]), "") if aliases else "")
    kubelet = spec.get("kubelet")
    if family not in {"AL2", "Bottlerocket", "Windows2019", "Windows2022", "Windows2025"}:
        return ()
    return [("kubelet", name) for name in kubelet if name in OTHER_FIELDS] if isinstance(kubelet, Mapping) else ()


class EC2NodeClassSpec(Wire, frozen=True, kw_only=True):
    """How machines are made."""

    RULES = (
        Rule(
            cel="has(self.role) != has(self.instanceProfile)",
            message="must specify exactly one of ['role', 'instanceProfile']",
            broken=whole(lambda spec: counts(spec, "role", "instanceProfile") == 1),
            hint=f"role: {_ROLE_HINT}",
        ),
        Rule(
            cel="self.amiSelectorTerms.exists(x, has(x.alias)) || has(self.amiFamily)",
            message="must specify amiFamily if amiSelectorTerms does not contain an alias",
            broken=whole(_has_family),
            hint="amiFamily: AL2023, or an alias such as al2023@latest",
        ),
        Rule(
            cel=(
                "!has(self.amiFamily) || self.amiFamily == 'Custom' || self.amiSelectorTerms.all(x, !has(x.alias) || "
                "x.alias.find('^[^@]+') == self.amiFamily.lowerAscii())"
            ),
            message="amiFamily must be the alias' family, or Custom",
            broken=whole(_family_fits_alias, "amiFamily"),
            hint="leave amiFamily out: the alias says it",
        ),
        Rule(
            cel="",
            message="only AL2023's nodes can be given this setting of the kubelet",
            broken=_not_taken,
            hint="leave it out, or take al2023@latest",
        ),
    )

    subnet_selector_terms: Annotated[tuple[SubnetSelectorTerm, ...], SUBNETS_FIELD] = ()
    security_group_selector_terms: Annotated[tuple[SecurityGroupSelectorTerm, ...], SECURITY_GROUPS_FIELD] = ()
    capacity_reservation_selector_terms: Annotated[
        tuple[CapacityReservationSelectorTerm, ...], CAPACITY_RESERVATIONS_FIELD
    ] = ()
    placement_group_selector: Annotated[
        PlacementGroupSelector | None, Field("The placement group that instances go to.")
    ] = None
    associate_public_ip_address: Annotated[
        bool | None, Field("Whether instances get a public address; as the subnet says where left out.")
    ] = None
    ip_prefix_count: Annotated[
        int | None, Field("Address prefixes of the first network interface.", minimum=0, format="int32")
    ] = None
    ami_selector_terms: Annotated[tuple[AMISelectorTerm, ...], AMIS_FIELD] = ()
    ami_family: Annotated[
        str | None, Field("How images are set up; where left out, as the alias says.", enum=AMI_FAMILIES)
    ] = None
    user_data: Annotated[str | None, Field("What instances run at their start, before they join.")] = None
    role: Annotated[
        str,
        Field(
            "The IAM role of the nodes, by name.",
            rules=(Rule(cel="self != ''", message="role cannot be empty", broken=whole(bool), hint=_ROLE_HINT),),
        ),
    ] = ""
    instance_profile: Annotated[
        str | None,
        Field(
            "An instance profile instead of a role.",
            rules=(
                Rule(cel="self != ''", message="instanceProfile cannot be empty", broken=whole(bool), hint=_ROLE_HINT),
            ),
        ),
    ] = None
    tags: Annotated[Mapping[str, str], TAGS_FIELD] = field(default_factory=dict)
    kubelet: Annotated[
        Mapping[str, Any] | None,
        Field(
            "Settings of the kubelet: these, and on AL2023 any other of kubelet.config.k8s.io/v1beta1.",
            struct=KubeletConfiguration,
        ),
    ] = None
    block_device_mappings: Annotated[
        tuple[BlockDeviceMapping, ...],
        Field("Volumes; where left out, those of the AMI family.", max_items=50, rules=(ONE_ROOT,)),
    ] = ()
    instance_store_policy: Annotated[
        str | None, Field("RAID0: instance store disks become the node's ephemeral storage.", enum=("RAID0",))
    ] = None
    network_interfaces: Annotated[
        tuple[NetworkInterface, ...],
        Field(
            "Network interfaces; where left out, the one that every instance has.", max_items=150, rules=INTERFACE_RULES
        ),
    ] = ()
    detailed_monitoring: Annotated[bool | None, Field("Whether CloudWatch gets a value every minute.")] = None
    metadata_options: Annotated[
        MetadataOptions,
        Field(
            "The instance metadata service.",
            default={
                "httpEndpoint": "enabled",
                "httpProtocolIPv6": "disabled",
                "httpPutResponseHopLimit": 1,
                "httpTokens": "required",
            },
        ),
    ] = MetadataOptions()
    connection_tracking: Annotated[
        ConnectionTracking | None, Field("After how long idle connections are forgotten.")
    ] = None
    context: Annotated[str | None, Field("The context of the launches (CreateFleet's).")] = None
    cpu_options: Annotated[CPUOptions | None, Field("Features of the CPU.")] = None


class Subnet(Wire, frozen=True, kw_only=True):
    """A subnet that was found."""

    id: Annotated[str, Field("Its id.")]
    zone: Annotated[str, Field("Its zone.")]
    zone_id: Annotated[str, Field("The zone's id, the same in every account.")] = ""


class SecurityGroup(Wire, frozen=True, kw_only=True):
    """A security group that was found."""

    id: Annotated[str, Field("Its id.")]
    name: Annotated[str, Field("Its name.")] = ""


class CapacityReservation(Wire, frozen=True, kw_only=True):
    """A capacity reservation that was found."""

    id: Annotated[str, Field("Its id.")]
    availability_zone: Annotated[str, Field("Its zone.")] = ""
    instance_match_criteria: Annotated[str, Field("Which instances it takes by itself.")] = ""
    instance_type: Annotated[str, Field("Its instance type.")] = ""
    owner_id: Annotated[str, Field("The account that owns it.")] = ""
    reservation_type: Annotated[str, Field("What it is.", enum=("default", "capacity-block"), default="default")] = (
        "default"
    )
    interruptible: Annotated[bool, Field("Whether its owner may take instances back.")] = False
    state: Annotated[str, Field("Whether it is about to end.", enum=("active", "expiring"), default="active")] = (
        "active"
    )
    end_time: Annotated[str | None, Field("When it ends.", format="date-time")] = None


class AMI(Wire, frozen=True, kw_only=True):
    """An image that was found."""

    id: Annotated[str, Field("Its id.")]
    name: Annotated[str, Field("Its name.")] = ""
    deprecated: Annotated[bool, Field("Whether its owner advises against it.")] = False
    requirements: Annotated[tuple[RequirementWire, ...], Field("Which instance types it suits.", is_required=True)] = ()


class EC2NodeClassStatusWire(Wire, frozen=True, kw_only=True):
    """What the selectors stand for now."""

    subnets: Annotated[tuple[Subnet, ...], Field("Subnets, those with most free addresses first.")] = ()
    security_groups: Annotated[tuple[SecurityGroup, ...], Field("Security groups.")] = ()
    capacity_reservations: Annotated[tuple[CapacityReservation, ...], Field("Capacity reservations.")] = ()
    amis: Annotated[tuple[AMI, ...], Field("Images, the newest first.")] = ()
    instance_profile: Annotated[str, Field("The instance profile of the machines.")] = ""
    conditions: Annotated[tuple[ConditionWire, ...], CONDITIONS_FIELD] = ()


class EC2NodeClassWire(Wire, frozen=True, kw_only=True):
    """How machines are made on AWS: image, network, disks, role."""

    spec: Annotated[EC2NodeClassSpec, Field("What is asked for.")]
    status: Annotated[EC2NodeClassStatusWire | None, Field("What was found.")] = None
