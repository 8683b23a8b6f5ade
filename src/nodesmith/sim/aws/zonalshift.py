"""ARC zonal shift, as far as a controller asks: whether a cluster is registered and which zones are shifted away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nodesmith.sim.aws import wire

if TYPE_CHECKING:
    from nodesmith.sim.aws.wire import Call
    from nodesmith.sim.aws.world import World

SERVICE: Final = "arc-zonal-shift"


def answer(call: Call, world: World) -> wire.Answer:
    """GetManagedResource of what the control registered."""
    if call.action != "GetManagedResource":
        return wire.error_answer(SERVICE, "InvalidAction", f"The box has no {call.action}.", 400, world.token)
    resource = str(call.params["resourceIdentifier"])
    shifts = world.zonal_shifts.get(resource)
    if shifts is None:
        message = f"{resource} is not registered"
        return wire.error_answer(SERVICE, "ResourceNotFoundException", message, 404, world.token)
    running = [shift for shift in shifts if shift.expires_at > world.now()]
    rows: list[dict[str, Any]] = [
        {
            "appliedStatus": "APPLIED",
            "awayFrom": shift.zone,
            "comment": "shifted by the control",
            "expiryTime": shift.expires_at.timestamp(),
            "resourceIdentifier": resource,
            "startTime": shift.started_at.timestamp(),
            "zonalShiftId": f"shift-{index}",
            "shiftType": "ZONAL_SHIFT",
        }
        for index, shift in enumerate(running)
    ]
    weights = dict.fromkeys((row["awayFrom"] for row in rows), 0.0)
    return wire.json_answer({"arn": resource, "name": resource, "appliedWeights": weights, "zonalShifts": rows})
