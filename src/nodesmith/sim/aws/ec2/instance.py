"""An instance of the box: moto's, with what a fleet and a controller need to know about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from moto.ec2.models.instances import Instance, InstanceState, StateReason

from nodesmith.sim.aws import world

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

STATE_CODES: Final = {
    "pending": 0,
    "running": 16,
    "shutting-down": 32,
    "terminated": 48,
    "stopping": 64,
    "stopped": 80,
}
GONE: Final = frozenset({"shutting-down", "terminated"})


@dataclass(slots=True)
class LaunchSpec:
    """What to launch: a template's data with the request's on top."""

    image_id: str
    instance_type: str
    subnet: Any
    capacity_type: str
    data: Mapping[str, Any]
    """The merged launch template data."""
    tags: Mapping[str, Mapping[str, str]]
    """By resource type."""
    template: tuple[str, str] | None = None
    """Launch template id and version."""
    fleet_id: str | None = None
    client_token: str | None = None
    reservation_id: str | None = None
    security_groups: list[Any] = field(default_factory=list)

    @property
    def placement(self) -> Mapping[str, Any]:
        """The template's Placement."""
        placement = self.data.get("Placement") or {}
        return placement if isinstance(placement, dict) else {}


class BoxInstance(Instance):
    """moto's Instance, launched from a `LaunchSpec` and moved between states by the box's clock."""

    def __init__(self, backend: Any, spec: LaunchSpec, *, user_data: Any, nics: list[dict[str, Any]]) -> None:
        monitoring = spec.data.get("Monitoring") or {}
        super().__init__(
            backend,
            spec.image_id,
            user_data,
            spec.security_groups,
            instance_type=spec.instance_type,
            region_name=backend.region_name,
            nics=nics,
            key_name=spec.data.get("KeyName"),
            ebs_optimized=bool(spec.data.get("EbsOptimized")),
            metadata_options=spec.data.get("MetadataOptions") or {},
            monitoring_state="enabled" if monitoring.get("Enabled") else "disabled",
            lifecycle={"on-demand": None}.get(spec.capacity_type, spec.capacity_type),
            associate_public_ip=None,
            client_token=spec.client_token,
            hibernation_options={},
        )
        self.hypervisor = "nitro"
        self.launch_time = world.current().now()
        self.capacity_type = spec.capacity_type
        self.spot_instance_request_id: str | None = None
        self.capacity_reservation_id = spec.reservation_id
        self.capacity_reservation_spec: Mapping[str, Any] = spec.data.get("CapacityReservationSpecification") or {}
        self.enclave_options: Mapping[str, Any] = spec.data.get("EnclaveOptions") or {}
        self.cpu_options: Mapping[str, Any] = spec.data.get("CpuOptions") or {}
        self.placement_spec = spec.placement
        self.partition_number: int | None = self.placement_spec.get("PartitionNumber")
        self.nic_details: dict[str, Mapping[str, Any]] = {}
        self.reservation: Any = None
        self.ended_at: datetime | None = None
        self.rendered: tuple[object, str] | None = None
        self.enter("pending")

    def enter(self, name: str) -> None:
        """Be in a state from now on."""
        self._state = InstanceState(name, STATE_CODES[name])

    def give_reason(self, code: str, message: str) -> None:
        """Say why the state changed, as DescribeInstances shows it."""
        moment = world.current().now().strftime("%Y-%m-%d %H:%M:%S GMT")
        self._reason = f"{message} ({moment})"
        self.state_reason = StateReason(f"{code}: {message}", code)
