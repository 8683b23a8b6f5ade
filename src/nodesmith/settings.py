"""Settings of the controller: Karpenter's flags and environment names, read once, all faults told at once (spec 8.1).

A field of `Settings` is a setting: `batch_idle_duration` is the flag `--batch-idle-duration` and the variable
`BATCH_IDLE_DURATION`; the flag wins. A part is handed what it needs (`settings.batch`), never all of them.
"""

# ruff: noqa: RUF009 - `setting` declares a field, as `dataclasses.field` does

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

from nodesmith.api.scalars import DurationError, parse_duration
from nodesmith.api.schedulerconfig import parse_scheduler_config
from nodesmith.model.pod import TopologySpreadConstraint

T = TypeVar("T")

_SHORTEST_REFRESH: Final = timedelta(minutes=1)
_HIGHEST_PORT: Final = 65535
_ANY_PORT: Final = 0


class SettingsError(ValueError):
    """Settings that are missing or wrong, a line each in `faults`."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


# --- how values are written ---


def _text(text: str) -> str:
    return text


def _texts(text: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in text.split(",") if each.strip())


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f'"{text}" is not a whole number') from None


def _at_least(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = _whole(text)
        if number < least:
            raise ValueError(f"{number} is below {least}")
        return number

    return parse


def _port(text: str) -> int:
    number = _at_least(0)(text)
    if number > _HIGHEST_PORT:
        raise ValueError(f"{number} is no port: the highest is {_HIGHEST_PORT}")
    return number


def _share(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f'"{text}" is not a number') from None
    if not 0 <= number < float("inf"):
        raise ValueError(f"{text} must be 0 or more")
    return number


def _switch(text: str) -> bool:
    if text.lower() not in {"true", "false", "1", "0", "t", "f"}:
        raise ValueError(f'"{text}" must be true or false')
    return text.lower() in {"true", "1", "t"}


def _duration(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except DurationError as error:
        raise ValueError(str(error).replace("'", '"')) from None


def _duration_if_any(text: str) -> timedelta | None:
    return _duration(text) if text else None


def _refresh(text: str) -> timedelta:
    duration = _duration(text)
    if duration < _SHORTEST_REFRESH:
        raise ValueError(f"{text} is below 1m")
    return duration


def _one_of(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(f'"{text}" is not one of {", ".join(allowed)}')
        return text

    return parse


def _url(text: str) -> str:
    parts = urlsplit(text)
    if text and not (parts.scheme and parts.netloc):
        raise ValueError(f'"{text}" is not an absolute URL (such as https://ABC.eks.amazonaws.com)')
    return text


def _gates(text: str) -> dict[str, bool]:
    """The gates that a text such as `NodeRepair=true,StaticCapacity=false` switches; unknown ones are tolerated."""
    gates: dict[str, bool] = {}
    for pair in _texts(text):
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f'"{pair}" must be written NAME=true or NAME=false')
        gates[name.strip()] = _switch(value.strip())
    return gates


def _gates_of(kind: type[T]) -> Callable[[str], T]:
    names = {each.name.replace("_", ""): each.name for each in fields(cast("Any", kind))}

    def parse(text: str) -> T:
        given = _gates(text)
        return kind(**{names[name.lower()]: value for name, value in given.items() if name.lower() in names})

    return parse


# --- the settings ---


@dataclass(frozen=True, slots=True)
class FeatureGates:
    """What is on beside what is always on."""

    node_repair: bool = False
    reserved_capacity: bool = True
    spot_to_spot_consolidation: bool = False
    return_to_spot: bool = False
    node_overlay: bool = False
    static_capacity: bool = False
    capacity_buffer: bool = False
    terminate_first_drift: bool = False
    terminate_first_repair: bool = False
    pod_deletion_cost_management: bool = False


UNHEEDED_GATES: Final = ("terminate_first_drift", "terminate_first_repair", "pod_deletion_cost_management")
UNHEEDED_AWS_GATES: Final = ("dra_efa", "dra_nvidia_gpu", "reboot_for_repair")
"""Gates of Karpenter's main branch that are read and change nothing."""


@dataclass(frozen=True, slots=True)
class AWSFeatureGates:
    """The same for AWS."""

    node_class_cel: bool = False
    dra_efa: bool = False
    dra_nvidia_gpu: bool = False
    reboot_for_repair: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """How long pods are collected before they are planned: until `idle` without a new one, or `longest` in all."""

    idle: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Setting:
    """How a setting is read, and what it is for."""

    parse: Callable[[str], Any]
    about: str
    default_text: str
    is_required: bool = False
    is_heeded: bool = True


def setting(
    parse: Callable[[str], T], default: str, about: str, *, is_required: bool = False, is_heeded: bool = True
) -> T:
    """A field of `Settings`, with its default as the text one would write.

    One that is not heeded is read, so that a command line of Karpenter's is taken, and changes nothing.
    """
    note = Setting(parse, about, default, is_required, is_heeded)
    metadata = {"setting": note}
    if is_required:
        required: T = field(metadata=metadata)
        return required
    return field(default_factory=lambda: parse(default), metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set."""

    cluster_name: str = setting(_text, "", "Name of the cluster, by which AWS resources are found.", is_required=True)
    cluster_endpoint: str = setting(_url, "", "Address of the API server for new nodes; asked from EKS when empty.")
    cluster_ca_bundle: str = setting(_text, "", "Base64 CA bundle for new nodes; the controller's own when empty.")
    interruption_queue: str = setting(
        _text, "", "Name of the SQS queue for interruptions; none are handled when empty."
    )
    isolated_vpc: bool = setting(
        _switch, "false", "Whether AWS APIs without a VPC endpoint (prices) cannot be reached."
    )
    eks_control_plane: bool = setting(
        _switch,
        "false",
        "Whether the Kubernetes version is asked of EKS, and not of the API server.",
    )
    vm_memory_overhead_percent: float = setting(
        _share, "0.075", "Share of an instance's memory that the hypervisor keeps, until a node has shown it."
    )
    reserved_enis: int = setting(_at_least(0), "0", "Network interfaces that pods cannot use (custom networking).")
    disable_dry_run: bool = setting(_switch, "false", "Whether EC2NodeClasses are not validated by dry-run calls.")
    enable_zonal_shift: bool = setting(_switch, "false", "Whether zones that ARC shifts away from are avoided.")
    ami_refresh_interval: timedelta = setting(_refresh, "1m", "How often images are looked up; at least 1m.")
    subnet_refresh_interval: timedelta = setting(_refresh, "1m", "How often subnets are looked up; at least 1m.")
    security_group_refresh_interval: timedelta = setting(
        _refresh, "1m", "How often security groups are looked up; at least 1m."
    )
    aws_feature_gates: AWSFeatureGates = setting(
        _gates_of(AWSFeatureGates), "", "AWS features to switch, such as NodeClassCEL=true."
    )
    batch_max_duration: timedelta = setting(
        _duration, "10s", "The longest that pods are collected before they are planned."
    )
    batch_idle_duration: timedelta = setting(
        _duration, "1s", "How long no new pod may come before those collected are planned."
    )
    preference_policy: str = setting(
        _one_of("Respect", "Ignore"), "Respect", "Whether preferred affinity and ScheduleAnyway spread are minded."
    )
    min_values_policy: str = setting(
        _one_of("Strict", "BestEffort"), "Strict", "Whether minValues that cannot be met block a node or are lowered."
    )
    pricing_policy: str = setting(
        _one_of("lowest", "karpenter"), "lowest", "Whether the cheapest valid plan is taken, or Karpenter's."
    )
    pricing_deadline: timedelta | None = setting(
        _duration_if_any,
        "",
        "How long a plan may be improved, once it stands; not at all with 0s. When empty: 2s for 5,000 pods and more, "
        "less for fewer, 0.3s at the least.",
    )
    pricing_spot_risk: float = setting(
        _share, "0.05", "What a claim counts for beyond its price when only one spot pool can fill it."
    )
    nominate_pods: bool = setting(
        _switch, "true", "Whether pods get the name of the node bought for them, which kube-scheduler then tries first."
    )
    ignore_dra_requests: bool = setting(
        _switch,
        "true",
        "Whether DaemonSets whose pods have resource claims take no room on new nodes. Other pods with resource claims "
        "are left alone either way.",
    )
    scheduler_config: tuple[TopologySpreadConstraint, ...] = setting(
        parse_scheduler_config,
        "",
        "kube-scheduler's default spread: YAML with podTopologySpread.defaultConstraints, or its own configuration.",
    )
    scenario_folder: str = setting(
        _text,
        "/tmp/nodesmith",  # noqa: S108 - what is written there is for people, nothing is read back
        "Folder for the input of plans that break a rule, for `nodesmith plan -f`; none is kept when empty.",
    )
    feature_gates: FeatureGates = setting(
        _gates_of(FeatureGates), "", "Features to switch, such as NodeRepair=true,ReservedCapacity=false."
    )
    legacy_node_repair: bool = setting(
        _switch, "false", "Whether NodeRepair only replaces nodes, as it did at first; it does.", is_heeded=False
    )
    metrics_port: int = setting(_port, "8080", "Port of /metrics.")
    health_probe_port: int = setting(_port, "8081", "Port of /healthz and /readyz.")
    kube_client_qps: int = setting(_at_least(1), "200", "Requests a second to the API server, in the long run.")
    kube_client_burst: int = setting(_at_least(1), "300", "Requests to the API server at once.")
    leader_election_name: str = setting(_text, "karpenter-leader-election", "Name of the Lease that the leader holds.")
    leader_election_namespace: str = setting(_text, "", "Namespace of the Lease; the controller's own when empty.")
    disable_leader_election: bool = setting(_switch, "false", "Whether it runs without asking for the Lease.")
    disable_controller_warmup: bool = setting(_switch, "true", "Whether watches start only with leadership.")
    disable_cluster_state_observability: bool = setting(
        _switch, "false", "Whether metrics of pods, nodes and pools are left out."
    )
    enable_profiling: bool = setting(_switch, "false", "Whether /debug/pprof/profile is served on the metrics port.")
    log_level: str = setting(_one_of("debug", "info", "error"), "info", "What is logged: debug, info or error.")
    log_output_paths: tuple[str, ...] = setting(_texts, "stdout", "Where logs go, separated by commas.")
    log_error_output_paths: tuple[str, ...] = setting(_texts, "stderr", "Where errors of logging go.", is_heeded=False)
    cpu_requests: int = setting(_whole, "1000", "The controller's CPU request in thousandths of a core.")
    memory_limit: int = setting(
        _whole,
        "-1",
        "The controller's memory limit in bytes; -1: none. Python needs none.",
        is_heeded=False,
    )
    karpenter_service: str = setting(_text, "", "Name of the Service; there is no webhook to serve.", is_heeded=False)
    system_namespace: str = setting(_text, "", "The controller's own namespace (set by the chart).")

    @property
    def batch(self) -> Batch:
        """How long pods are collected."""
        return Batch(self.batch_idle_duration, self.batch_max_duration)

    @property
    def cpu_request_milli(self) -> int:
        """The CPU request that counts: the default where none was given."""
        return self.cpu_requests if self.cpu_requests > 0 else 1000


SETTINGS: Final[Mapping[str, Setting]] = {each.name: each.metadata["setting"] for each in fields(Settings)}
"""Every setting by field name, in order."""


TOLD_BY_THE_CHART: Final = frozenset({"memory_limit", "karpenter_service", "log_error_output_paths"})
"""What the chart always sets, as Karpenter's does: nobody chose it."""


def unheeded(settings: Settings) -> list[str]:
    """The flags that somebody set to something and that change nothing: to be told at the start."""
    chosen = [
        flag_of(name)
        for name, each in SETTINGS.items()
        if not each.is_heeded
        and name not in TOLD_BY_THE_CHART
        and getattr(settings, name) != each.parse(each.default_text)
    ]
    gates, aws_gates = settings.feature_gates, settings.aws_feature_gates
    return [
        *chosen,
        *(f"feature-gates: {name}" for name in UNHEEDED_GATES if getattr(gates, name)),
        *(f"aws-feature-gates: {name}" for name in UNHEEDED_AWS_GATES if getattr(aws_gates, name)),
    ]


def flag_of(name: str) -> str:
    """The flag of a field: `batch-idle-duration`."""
    return name.replace("_", "-")


def variable_of(name: str) -> str:
    """The environment variable of a field: `BATCH_IDLE_DURATION`."""
    return name.upper()


def load(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """The settings that command line and environment make; a flag wins over its variable.

    Raises:
        SettingsError: with a line for each that is missing or wrong.
    """
    faults: list[str] = []
    flags = dict(_flags(arguments, faults))
    values: dict[str, Any] = {}
    for name, each in SETTINGS.items():
        told_as, text = f"--{flag_of(name)}", flags.get(name)
        if text is None:
            told_as, text = variable_of(name), environment.get(variable_of(name))
        if not text and each.is_required:
            faults.append(f"--{flag_of(name)} or {variable_of(name)}: must be set")
        elif text is not None and (text or each.parse is _text):
            try:
                values[name] = each.parse(text)
            except ValueError as error:
                faults.append(f"{told_as}: {error}")
    if faults:
        raise SettingsError(faults)
    return _checked(Settings(**values))


def _flags(arguments: Sequence[str], faults: list[str]) -> Iterator[tuple[str, str]]:
    """The flags by field name; `--flag=value`, `--flag value`, and `--flag` alone for a switch."""
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        flag, equals, value = argument.lstrip("-").partition("=")
        name = flag.replace("-", "_")
        if not argument.startswith("-") or name not in SETTINGS:
            close = get_close_matches(flag, [flag_of(each) for each in SETTINGS], n=1)
            faults.append(f"{argument}: is not a setting" + (f"; did you mean --{close[0]}?" if close else ""))
        elif equals:
            yield name, value
        elif SETTINGS[name].parse is _switch:
            yield name, "true"
        elif rest:
            yield name, rest.pop(0)
        else:
            faults.append(f"{argument}: needs a value")


def _checked(settings: Settings) -> Settings:
    faults: list[str] = []
    if settings.batch_idle_duration > settings.batch_max_duration:
        faults.append("--batch-idle-duration: must not be above --batch-max-duration")
    if settings.metrics_port == settings.health_probe_port != _ANY_PORT:
        faults.append(f"--health-probe-port: {settings.health_probe_port} is the --metrics-port too")
    if faults:
        raise SettingsError(faults)
    return settings
