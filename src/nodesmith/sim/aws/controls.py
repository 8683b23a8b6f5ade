"""The box's control plane on the server's side: `POST /sim/<what>` with JSON, answered with JSON."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from moto.eks.models import eks_backends
from moto.ssm.models import ssm_backends

from nodesmith.sim.aws import events, inventory, wire
from nodesmith.sim.aws.ec2 import launch
from nodesmith.sim.aws.ec2.backend import backend_of
from nodesmith.sim.aws.faults import Fault, FaultKind
from nodesmith.sim.aws.world import ACCOUNT, Health, Pool, Shortage, StatusEvent, Timing, World, ZonalShift

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Body = dict[str, Any]


def handle(world: World, request: wire.Request, reset: Callable[[], None]) -> wire.Answer:
    """Do what a control request says."""
    name = request.path.removeprefix("/sim/").strip("/")
    body = json.loads(request.body) if request.body.strip() else {}
    if name == "reset":
        reset()
        return _json({})
    control = _CONTROLS.get(name)
    if control is None:
        return _json({"error": f"no such control: {name}", "known": sorted([*_CONTROLS, "reset"])}, 404)
    try:
        return _json(control(world, body))
    except (KeyError, TypeError, ValueError) as error:
        return _json({"error": f"{type(error).__name__}: {error}"}, 400)


def _json(value: Any, status: int = 200) -> wire.Answer:
    return wire.Answer(status, "application/json", json.dumps(value, default=_plain).encode())


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    return str(value)


def _pool(body: Mapping[str, Any]) -> Pool:
    return Pool(body.get("capacity_type", "*"), body.get("instance_type", "*"), body.get("zone", "*"))


def _ice(world: World, body: Body) -> Body:
    """Set the pools that have little or no capacity."""
    if body.get("replace", True):
        world.shortages.clear()
    world.shortages += [
        Shortage(_pool(p), p.get("code"), p.get("message"), int(p.get("left", 0))) for p in body.get("pools", ())
    ]
    return {}


def _spot_factor(world: World, body: Body) -> Body:
    """Make spot pools dearer or cheaper."""
    world.spot_factor = {_pool(p): float(p["factor"]) for p in body.get("pools", ())}
    return {}


def _timing(world: World, body: Body) -> Body:
    """Set how long passing states last."""
    world.timing = Timing(
        pending=timedelta(seconds=body.get("pending_s", 0)),
        shutting_down=timedelta(seconds=body.get("shutting_down_s", 0)),
        stopping=timedelta(seconds=body.get("stopping_s", 0)),
    )
    return {}


def _clock(world: World, body: Body) -> Body:
    """Stop the clock at a time, move it on, or only read it."""
    if "now" in body or "advance_s" in body:
        start = datetime.fromisoformat(body["now"]) if "now" in body else world.now()
        moment = start + timedelta(seconds=body.get("advance_s", 0))
        world.clock = lambda: moment
        world.is_virtual = True
        world.settle()
    return {"now": world.now().isoformat(), "is_virtual": world.is_virtual}


def _event(world: World, body: Body) -> Body:
    """Put any event on the default bus."""
    del world
    resources = body.get("resources", [])
    events.emit(ACCOUNT, body["region"], body["source"], body["detail_type"], body["detail"], resources)
    return {}


def _spot_interruption(world: World, body: Body) -> Body:
    """Warn of a spot interruption, and end the instance when the notice is over."""
    region, instance_id = body["region"], body["instance_id"]
    backend = backend_of(region)
    instance = backend.get_instance(instance_id)
    events.spot_warning(ACCOUNT, region, instance_id)
    notice = timedelta(seconds=body.get("notice_s", events.SPOT_NOTICE.total_seconds()))

    def end() -> None:
        code, message = "Server.SpotInstanceTermination", "Spot instance termination"
        launch.terminate(instance, backend, code=code, message=message)

    world.after(notice, end)
    return {"ends_at": world.now() + notice}


def _rebalance(world: World, body: Body) -> Body:
    """Recommend a rebalance."""
    del world
    events.rebalance(ACCOUNT, body["region"], body["instance_id"])
    return {}


def _health_event(world: World, body: Body) -> Body:
    """Announce scheduled maintenance through AWS Health."""
    del world
    code = body.get("code", "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED")
    events.scheduled_change(ACCOUNT, body["region"], body["instance_ids"], code)
    return {}


def _instance_status(world: World, body: Body) -> Body:
    """Set what DescribeInstanceStatus says of an instance."""
    impaired = "impaired" in {body.get("instance"), body.get("system")}
    since = datetime.fromisoformat(body["impaired_since"]) if "impaired_since" in body else world.now()
    world.health[body["instance_id"]] = Health(
        instance=body.get("instance", "ok"),
        system=body.get("system", "ok"),
        impaired_since=since if impaired else None,
        events=[
            StatusEvent(e["code"], e.get("description", ""), datetime.fromisoformat(e["not_before"]))
            for e in body.get("events", ())
        ],
    )
    return {}


def _ssm(world: World, body: Body) -> Body:
    """Write a parameter that users cannot write."""
    del world
    backend: Any = ssm_backends[ACCOUNT][body["region"]]
    backend.put_public(body["name"], body["value"])
    return {}


def _faults(world: World, body: Body) -> Body:
    """Set the rules by which calls fail."""
    world.faults.rules[:] = [
        Fault(
            action=rule["action"],
            kind=FaultKind(rule["kind"]),
            probability=float(rule.get("probability", 1)),
            code=rule.get("code"),
            status=rule.get("status"),
            delay=timedelta(seconds=rule.get("delay_s", 0)),
            window=timedelta(seconds=rule.get("window_s", 0)),
            times=rule.get("times"),
        )
        for rule in body.get("rules", ())
    ]
    return {}


def _calls(world: World, body: Body) -> Body:
    """The journal after a number."""
    after = int(body.get("after", 0))
    entries = [entry for entry in world.journal.entries if entry.number > after]
    if body.get("forget"):
        world.journal.entries.clear()
    return {"calls": entries}


def _iam(world: World, body: Body) -> Body:
    """Enforce permissions, or not."""
    world.is_enforcing = bool(body["enforce"])
    return {}


def _cluster(world: World, body: Body) -> Body:
    """Change what DescribeCluster says: endpoint, CA, network, issuer, version, authentication mode."""
    del world
    cluster: Any = eks_backends[ACCOUNT][body["region"]].describe_cluster(body["name"])
    if "endpoint" in body:
        cluster.endpoint = body["endpoint"]
    if "certificate_authority" in body:
        cluster.certificate_authority = {"data": body["certificate_authority"]}
    if "network" in body:
        cluster.kubernetes_network_config = {**cluster.kubernetes_network_config, **body["network"]}
    if "oidc_issuer" in body:
        cluster.identity = {"oidc": {"issuer": body["oidc_issuer"]}}
    if "version" in body:
        cluster.version = body["version"]
    if "authentication_mode" in body:
        cluster.access_config = {**cluster.access_config, "authenticationMode": body["authentication_mode"]}
    return {}


def _reservation(world: World, body: Body) -> Body:
    """Make a reservation that the API does not make alone, as a bought capacity block, or change one."""
    del world
    backend = backend_of(body["region"])
    store = backend.capacity_reservations
    if "id" not in body:
        made = store.create(body["params"])
        backend.tags[made.id].update(body.get("tags", {}))
        return {"id": made.id}
    found = store.get(body["id"])
    found.state = body.get("state", found.state)
    found.total = int(body.get("total", found.total))
    return {"id": found.id}


def _zonal_shift(world: World, body: Body) -> Body:
    """Register a resource with ARC, with the zones that are shifted away."""
    now = world.now()
    world.zonal_shifts[body["resource"]] = [
        ZonalShift(zone, now, now + timedelta(seconds=body.get("duration_s", 3600))) for zone in body.get("zones", ())
    ]
    return {}


def _seed(world: World, body: Body) -> Body:
    """Choose another seed for what is random from here on."""
    world.seed = int(body["seed"])
    return {}


def _inventory(world: World, body: Body) -> Body:
    """What exists in a region."""
    del world
    return {"inventory": inventory.take(ACCOUNT, body["region"])}


_CONTROLS: Final[dict[str, Callable[[World, Body], Body]]] = {
    "calls": _calls,
    "clock": _clock,
    "cluster": _cluster,
    "event": _event,
    "faults": _faults,
    "health-event": _health_event,
    "iam": _iam,
    "ice": _ice,
    "instance-status": _instance_status,
    "inventory": _inventory,
    "rebalance": _rebalance,
    "reservation": _reservation,
    "seed": _seed,
    "spot-factor": _spot_factor,
    "spot-interruption": _spot_interruption,
    "ssm": _ssm,
    "timing": _timing,
    "zonal-shift": _zonal_shift,
}
