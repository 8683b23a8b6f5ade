"""What a launch asks for, worked out from values alone: types, templates, overrides, one fleet request (spec 7.8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from nodesmith.adapters.aws.capacity import NodeShape
from nodesmith.adapters.aws.catalog import TypeFacts
from nodesmith.adapters.aws.families import Family, family_of
from nodesmith.adapters.aws.fleet import FleetOptions, Override, fleet_key, fleet_request
from nodesmith.adapters.aws.images import ImageChoice
from nodesmith.adapters.aws.kubelet import node_shape, settled
from nodesmith.adapters.aws.kubeletcheck import NOT_EVALUATED
from nodesmith.adapters.aws.launchtemplate import LaunchTemplate, TemplateOptions, build_template
from nodesmith.adapters.aws.names import EFA, ENCLAVE
from nodesmith.adapters.aws.selection import Candidate, candidates_for, capacity_type_for, holding, narrowed
from nodesmith.adapters.aws.settings import AwsSettings
from nodesmith.adapters.aws.tags import launch_tags
from nodesmith.adapters.aws.typelabels import Place
from nodesmith.adapters.aws.userdata.bootstrap import (
    LARGEST_BYTES,
    Bootstrap,
    ClusterInfo,
    UserDataError,
    kubelet_labels,
    kubelet_taints,
)
from nodesmith.adapters.aws.userdata.render import render_user_data
from nodesmith.api.ec2nodeclass import EC2NodeClass, KubeletConfiguration, kubelet_passed_on
from nodesmith.api.expressions import EvaluationError, ExpressionError
from nodesmith.model.instancetype import InstanceType, Offering
from nodesmith.model.labels import (
    MIN_VALUES_RELAXED,
    NODEPOOL,
    PRICE_OVERLAY_APPLIED,
    TENANCY,
)
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.resources import PODS
from nodesmith.ports.errors import CapacityUnavailable, CreateFailed, NodeClassNotReady

_EXHAUSTED: Final = "insufficient capacity, all requested instance types were unavailable during launch"
_NO_OVERRIDES: Final = "no capacity offerings are currently available given the constraints"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The types to ask for, and on which terms."""

    candidates: tuple[Candidate, ...]
    capacity_type: str
    tenancy: str

    @property
    def addresses(self) -> int:
        """How many addresses a launch takes at least: the fewest pods that any of the types holds."""
        return min((each.type.capacity.get(PODS, 0) for each in self.candidates), default=0)

    @property
    def by_name(self) -> Mapping[str, InstanceType]:
        """The types by name."""
        return {each.type.name: each.type for each in self.candidates}


@dataclass(frozen=True, slots=True)
class Frame:
    """What launches of a NodeClass have in common: the cluster, the place, the settings."""

    settings: AwsSettings
    cluster: ClusterInfo
    place: Place
    facts: Mapping[str, TypeFacts] = field(default_factory=dict)
    """By instance type: what expressions of the kubelet's settings are worked out from."""


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """The templates that must be there, and the fleet request that uses them; `key` is equal for equal requests."""

    templates: tuple[LaunchTemplate, ...]
    request: Mapping[str, Any]
    overrides: tuple[Override, ...]
    has_efa: bool
    partition: str = ""
    key: str = ""


@dataclass(slots=True)
class _Config:
    """The overrides that share a launch template."""

    options: TemplateOptions
    kubelet: KubeletConfiguration
    overrides: list[Override] = field(default_factory=list)


def choose(claim: NodeClaim, types: Sequence[InstanceType]) -> Chosen:
    """What to ask for.

    Raises:
        CapacityUnavailable: when no type that the claim allows can be had.
    """
    return choose_of(claim, candidates_for(claim.requirements, types))


def choose_of(claim: NodeClaim, allowed: Sequence[Candidate]) -> Chosen:
    """What to ask for, of what the claim's requirements allow.

    Raises:
        CapacityUnavailable: when none of it is large enough.
    """
    candidates = narrowed(claim.requirements, holding(claim.requests, allowed))
    if not candidates:
        raise CapacityUnavailable(_EXHAUSTED)
    tenancy = claim.requirements.get(TENANCY)
    return Chosen(
        tuple(candidates),
        capacity_type_for(claim.requirements, candidates),
        "default" if tenancy.allows("default") else "dedicated",
    )


def plan_launch(
    claim: NodeClaim, node_class: EC2NodeClass, chosen: Chosen, frame: Frame, subnets: Mapping[str, str]
) -> LaunchPlan:
    """The launch in the subnets, by zone.

    Raises:
        CapacityUnavailable: when no offering is left to ask for.
        NodeClassNotReady: when the service range is not known.
        CreateFailed: when the user data cannot be made.
    """
    partition = _partition(chosen)
    shape = node_shape(node_class, frame.settings)
    configs: dict[tuple[object, ...], _Config] = {}
    for override in _overrides(node_class, chosen, subnets, partition):
        kubelet = _kubelet(shape, override, frame)
        kind = (*_kind(claim, node_class, override), "" if kubelet is shape.kubelet else repr(kubelet))
        config = configs.get(kind)
        if config is None:
            options = _options(claim, node_class, chosen, frame, override, partition=partition)
            config = configs[kind] = _Config(options, kubelet)
        config.overrides.append(override)
    if not configs:
        raise CapacityUnavailable(_NO_OVERRIDES)
    built = [(build_template(_with_user_data(claim, node_class, config, frame)), config) for config in configs.values()]
    overrides = tuple(override for _, config in built for override in config.overrides)
    request = fleet_request(
        {template.name: config.overrides for template, config in built},
        _fleet_options(claim, node_class, chosen, frame, overrides[0].offering),
    )
    has_efa = any(config.options.efa_count for _, config in built) or _lists_efa(node_class)
    templates = tuple(template for template, _ in built)
    return LaunchPlan(templates, request, overrides, has_efa, partition, fleet_key(request))


def _kubelet(shape: NodeShape, override: Override, frame: Frame) -> KubeletConfiguration:
    """The kubelet's settings on nodes of the override's type.

    Raises:
        CreateFailed: when an expression among them has no result.
    """
    facts = frame.facts.get(override.type.name)
    try:
        return shape.kubelet if facts is None else settled(shape, facts).kubelet
    except (ExpressionError, EvaluationError) as error:
        raise CreateFailed(NOT_EVALUATED, str(error)) from error


def _lists_efa(node_class: EC2NodeClass) -> bool:
    return any(each.interface_type == "efa-only" for each in node_class.spec.network_interfaces)


def _overrides(
    node_class: EC2NodeClass, chosen: Chosen, subnets: Mapping[str, str], partition: str
) -> Iterator[Override]:
    """Each type and zone once, cheapest offering first, all in one partition."""
    images = ImageChoice(node_class.status.amis)
    seen: set[tuple[str, str]] = set()
    for candidate in chosen.candidates:
        image = images.of(candidate.type.requirements)
        if image is None:
            continue
        for offering in candidate.offerings:
            key = (candidate.type.name, offering.zone)
            subnet = subnets.get(offering.zone)
            is_meant = (offering.capacity_type, offering.partition) == (chosen.capacity_type, partition)
            if is_meant and subnet is not None and key not in seen:
                seen.add(key)
                yield Override(candidate.type, offering, subnet, image.id)


def _kind(claim: NodeClaim, node_class: EC2NodeClass, override: Override) -> tuple[object, ...]:
    """What overrides of one launch template have in common."""
    efas = _efas(claim, node_class, override)
    return (override.image, override.type.capacity.get(PODS), efas, override.offering.reservation_id)


def _efas(claim: NodeClaim, node_class: EC2NodeClass, override: Override) -> int:
    """How many EFA interfaces the launch makes by itself: all that the type has, where a pod wants any."""
    wants_efa = bool(claim.requests.get(EFA)) and not node_class.spec.network_interfaces
    return override.type.capacity.get(EFA, 0) if wants_efa else 0


def _options(
    claim: NodeClaim, node_class: EC2NodeClass, chosen: Chosen, frame: Frame, override: Override, *, partition: str
) -> TemplateOptions:
    offering = override.offering
    return TemplateOptions(
        image_id=override.image,
        user_data="",
        spec=node_class.spec,
        family=family_of(node_class.ami_family),
        security_groups=tuple(each.id for each in node_class.status.security_groups),
        profile=node_class.status.instance_profile,
        tags=_tags(claim, node_class, frame),
        region=frame.settings.region,
        capacity_type=chosen.capacity_type,
        tenancy=chosen.tenancy,
        efa_count=_efas(claim, node_class, override),
        reservation_id=offering.reservation_id,
        reservation_type=offering.reservation_type,
        reservation_interruptible=offering.reservation_interruptible,
        placement_group=frame.place.placement_group.id if frame.place.placement_group else "",
        partition=partition,
        is_ipv6=frame.cluster.is_ipv6,
        has_enclave=bool(claim.requests.get(ENCLAVE)),
        is_reserved_capacity_enabled=frame.settings.is_reserved_capacity_enabled,
    )


def _with_user_data(claim: NodeClaim, node_class: EC2NodeClass, config: _Config, frame: Frame) -> TemplateOptions:
    family, options = config.options.family, config.options
    bootstrap = _bootstrap(claim, node_class, config, frame, family)
    try:
        text = render_user_data(family, bootstrap)
    except UserDataError as error:
        if not frame.cluster.cidr and family.name == "AL2023":
            raise NodeClassNotReady(str(error)) from error
        raise CreateFailed("LaunchTemplateCreationFailed", str(error)) from error
    if len(text.encode()) > LARGEST_BYTES:
        raise CreateFailed("UserDataSizeLimitExceeded", f"user data is {len(text.encode())} bytes, {LARGEST_BYTES} fit")
    return replace(options, user_data=text)


def _bootstrap(claim: NodeClaim, node_class: EC2NodeClass, config: _Config, frame: Frame, family: Family) -> Bootstrap:
    kubelet = config.kubelet
    pods = config.overrides[0].type.capacity.get(PODS, 0)
    dns = kubelet.cluster_dns or ((frame.cluster.dns_ip,) if frame.cluster.dns_ip else None)
    labels = kubelet_labels(claim.labels, config.options.capacity_type, is_custom=family.name == "Custom")
    return Bootstrap(
        cluster=frame.cluster,
        kubelet=msgspec.structs.replace(
            kubelet, max_pods=pods if kubelet.max_pods is None else kubelet.max_pods, cluster_dns=dns
        ),
        passed_on=kubelet_passed_on(node_class.spec),
        labels=labels,
        taints=kubelet_taints(claim.taints, claim.startup_taints),
        custom=node_class.spec.user_data or "",
        is_raid=node_class.spec.instance_store_policy == "RAID0",
        alias_version=node_class.alias.partition("@")[2],
    )


def _tags(claim: NodeClaim, node_class: EC2NodeClass, frame: Frame) -> dict[str, str]:
    return launch_tags(
        frame.settings.cluster_name,
        node_class.spec.tags,
        pool=claim.labels.get(NODEPOOL, ""),
        node_class=node_class.name,
    )


def _fleet_options(
    claim: NodeClaim, node_class: EC2NodeClass, chosen: Chosen, frame: Frame, first: Offering
) -> FleetOptions:
    annotations = claim.meta.annotations
    is_relaxed = annotations.get(MIN_VALUES_RELAXED) == "true"
    return FleetOptions(
        capacity_type=chosen.capacity_type,
        tags=_tags(claim, node_class, frame),
        context="" if is_relaxed else node_class.spec.context or "",
        is_price_overlaid=annotations.get(PRICE_OVERLAY_APPLIED) == "true",
        reservation_type=first.reservation_type,
        reservation_interruptible=first.reservation_interruptible,
    )


def _partition(chosen: Chosen) -> str:
    """The first partition, by text, that something can be had in; empty without a partitioned placement group."""
    offerings = (offering for each in chosen.candidates for offering in each.offerings)
    return min((each.partition for each in offerings if each.capacity_type == chosen.capacity_type), default="")
