"""The values of the chart, which are those of Karpenter's chart (spec 8.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from nodesmith.api.wire.base import Wire
from nodesmith.api.wire.field import Field
from nodesmith.api.wire.patterns import DURATION_HINT

Anything = Mapping[str, Any] | None
List = tuple[Any, ...] | None
Texts = Mapping[str, str] | None

_DURATION: Final = Field(pattern=r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$", hint=DURATION_HINT)
_DURATION_OR_NONE: Final = Field(pattern=r"^(([0-9]+(\.[0-9]+)?(ms|s|m|h))+)?$", hint=DURATION_HINT)


class FeatureGatesWire(Wire, frozen=True, kw_only=True):
    """Features to switch."""

    node_repair: bool | None = None
    reserved_capacity: bool | None = None
    spot_to_spot_consolidation: bool | None = None
    return_to_spot: bool | None = None
    node_overlay: bool | None = None
    static_capacity: bool | None = None
    capacity_buffer: bool | None = None


class PricingWire(Wire, frozen=True, kw_only=True):
    """How much thought a plan is given for its price."""

    policy: Annotated[str | None, Field(enum=("lowest", "karpenter"))] = None
    deadline: Annotated[str | None, _DURATION_OR_NONE] = None
    spot_risk: Annotated[float | int | None, Field(minimum=0)] = None


class SettingsWire(Wire, frozen=True, kw_only=True):
    """Settings of the controller."""

    batch_max_duration: Annotated[str | None, _DURATION] = None
    batch_idle_duration: Annotated[str | None, _DURATION] = None
    preference_policy: Annotated[str | None, Field(enum=("Respect", "Ignore"))] = None
    min_values_policy: Annotated[str | None, Field(enum=("Strict", "BestEffort"))] = None
    pricing: PricingWire | None = None
    clusterCABundle: str | None = None  # noqa: N815 - no rule makes this spelling
    cluster_name: Annotated[
        str,
        Field("Name of the cluster.", is_required=True, min_length=1, hint="settings: {clusterName: NAME}"),
    ] = ""
    cluster_endpoint: str | None = None
    isolatedVPC: bool | None = None  # noqa: N815 - as above
    eks_control_plane: bool | None = None
    vm_memory_overhead_percent: float | str | int | None = None
    interruption_queue: str | None = None
    enable_zonal_shift: bool | None = None
    reservedENIs: str | int | None = None  # noqa: N815 - as above
    nominate_pods: bool | None = None
    ignoreDRARequests: bool | None = None  # noqa: N815 - as above
    scheduler_config: str | None = None
    disable_cluster_state_observability: bool | None = None
    disable_dry_run: bool | None = None
    ami_refresh_interval: Annotated[str | None, _DURATION] = None
    subnet_refresh_interval: Annotated[str | None, _DURATION] = None
    security_group_refresh_interval: Annotated[str | None, _DURATION] = None
    feature_gates: FeatureGatesWire | None = None
    aws_feature_gates: Mapping[str, bool] | None = None


class ServiceAccountWire(Wire, frozen=True, kw_only=True):
    """The controller's service account."""

    create: bool | None = None
    name: str | None = None
    annotations: Texts = None


class ControllerWire(Wire, frozen=True, kw_only=True):
    """The controller's container."""

    container_name: str | None = None
    image: Anything = None
    env: List = None
    env_from: List = None
    resources: Anything = None
    extra_volume_mounts: List = None
    sidecar_container: List = None
    sidecar_volume_mounts: List = None
    security_context: Anything = None
    metrics: Anything = None
    health_probe: Anything = None


class HelmValuesWire(Wire, frozen=True, kw_only=True):
    """Values of the chart."""

    name_override: str | None = None
    fullname_override: str | None = None
    additional_labels: Texts = None
    additional_annotations: Texts = None
    image_pull_policy: Annotated[str | None, Field(enum=("Always", "IfNotPresent", "Never"))] = None
    image_pull_secrets: List = None
    service: Anything = None
    service_account: ServiceAccountWire | None = None
    additional_cluster_role_rules: List = None
    service_monitor: Anything = None
    replicas: Annotated[int | None, Field(minimum=0)] = None
    revision_history_limit: Annotated[int | None, Field(minimum=0)] = None
    strategy: Anything = None
    pod_labels: Texts = None
    pod_annotations: Texts = None
    pod_disruption_budget: Anything = None
    pod_security_context: Anything = None
    priority_class_name: str | None = None
    termination_grace_period_seconds: int | None = None
    host_network: bool | None = None
    scheduler_name: str | None = None
    dns_policy: str | None = None
    dns_config: Anything = None
    node_selector: Texts = None
    affinity: Anything = None
    topology_spread_constraints: List = None
    tolerations: List = None
    extra_volumes: List = None
    controller: ControllerWire | None = None
    log_level: Annotated[str | None, Field(enum=("debug", "info", "error"))] = None
    log_output_paths: List = None
    log_error_output_paths: List = None
    settings: Annotated[SettingsWire, Field("Settings of the controller.", is_required=True)]
    global_: Anything = None
