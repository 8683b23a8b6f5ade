"""The client of the box's control plane, for tests, the demo and anything else that plays AWS's part.

It needs only the box's URL, and imports nothing of moto: it works against a box in this process and in another.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

TIMEOUT_S: Final = 30
_OPENER: Final = build_opener(ProxyHandler({}))
"""The box is on this machine; the environment's proxy is not asked for it."""


class ControlError(RuntimeError):
    """The box did not accept a control request."""


@dataclass(frozen=True, slots=True)
class PoolRule:
    """A capacity pool that has only so much left; `*` stands for any."""

    capacity_type: str = "*"
    instance_type: str = "*"
    zone: str = "*"
    left: int = 0
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class FaultRule:
    """Which calls fail, and how; `kind` is throttle, error, lost-reply, slow or eventual."""

    action: str
    kind: str
    probability: float = 1.0
    code: str | None = None
    status: int | None = None
    delay_s: float = 0
    window_s: float = 0
    times: int | None = None


@dataclass(frozen=True, slots=True)
class Needed:
    """A permission that a call needed."""

    action: str
    resource: str
    context: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One AWS call that the box answered."""

    number: int
    at: datetime
    service: str
    action: str
    region: str
    caller: str
    params: Mapping[str, Any]
    needed: tuple[Needed, ...]
    status: int
    error: str | None

    @property
    def name(self) -> str:
        """The action as IAM writes it."""
        return f"{self.service}:{self.action}"


@dataclass(frozen=True, slots=True)
class Inventory:
    """What exists in a region, by kind."""

    kinds: Mapping[str, Sequence[str]]

    def of(self, kind: str) -> Sequence[str]:
        """The names or ids of a kind."""
        return self.kinds[kind]

    def beyond(self, before: Inventory) -> dict[str, list[str]]:
        """What is here and was not there before; empty when nothing is left behind."""
        added = {kind: sorted(set(names) - set(before.kinds.get(kind, ()))) for kind, names in self.kinds.items()}
        return {kind: names for kind, names in added.items() if names}


@dataclass(frozen=True, slots=True)
class Control:
    """The control plane of the box at a URL."""

    url: str
    region: str

    def reset(self) -> None:
        """Empty the account; seed and clock stay."""
        self._post("reset", {})

    def ice(self, *pools: PoolRule, replace: bool = True) -> None:
        """Say which pools are short of capacity; none at all ends every shortage."""
        self._post("ice", {"pools": [asdict(pool) for pool in pools], "replace": replace})

    def spot_factor(self, factors: Mapping[tuple[str, str], float]) -> None:
        """Multiply spot prices by (instance type, zone); `*` stands for any."""
        rows = [{"instance_type": t, "zone": z, "capacity_type": "spot", "factor": f} for (t, z), f in factors.items()]
        self._post("spot-factor", {"pools": rows})

    def timing(
        self,
        *,
        pending: timedelta = timedelta(0),
        shutting_down: timedelta = timedelta(0),
        stopping: timedelta = timedelta(0),
    ) -> None:
        """Say how long instances stay in their passing states."""
        body = {
            "pending_s": pending.total_seconds(),
            "shutting_down_s": shutting_down.total_seconds(),
            "stopping_s": stopping.total_seconds(),
        }
        self._post("timing", body)

    def now(self) -> datetime:
        """The box's time."""
        return datetime.fromisoformat(self._post("clock", {})["now"])

    def set_clock(self, now: datetime) -> datetime:
        """Stop the box's clock at a time."""
        return datetime.fromisoformat(self._post("clock", {"now": now.isoformat()})["now"])

    def advance(self, delta: timedelta) -> datetime:
        """Move the box's clock on, and let happen what is due; the clock is virtual from here on."""
        return datetime.fromisoformat(self._post("clock", {"advance_s": delta.total_seconds()})["now"])

    def event(self, source: str, detail_type: str, detail: Mapping[str, Any], resources: Sequence[str] = ()) -> None:
        """Put an event on the default bus."""
        body = {"source": source, "detail_type": detail_type, "detail": detail, "resources": list(resources)}
        self._post("event", body)

    def interrupt_spot(self, instance_id: str, *, notice: timedelta = timedelta(minutes=2)) -> datetime:
        """Warn of an interruption; when the instance will end."""
        body = {"instance_id": instance_id, "notice_s": notice.total_seconds()}
        return datetime.fromisoformat(self._post("spot-interruption", body)["ends_at"])

    def recommend_rebalance(self, instance_id: str) -> None:
        """Send a rebalance recommendation."""
        self._post("rebalance", {"instance_id": instance_id})

    def health_event(self, *instance_ids: str, code: str = "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED") -> None:
        """Send an AWS Health event about scheduled maintenance."""
        self._post("health-event", {"instance_ids": list(instance_ids), "code": code})

    def instance_status(
        self,
        instance_id: str,
        *,
        instance: str = "ok",
        system: str = "ok",
        impaired_since: datetime | None = None,
        events: Iterable[tuple[str, datetime]] = (),
    ) -> None:
        """Say what DescribeInstanceStatus shows; `events` are (code, not before)."""
        body: dict[str, Any] = {"instance_id": instance_id, "instance": instance, "system": system}
        if impaired_since is not None:
            body["impaired_since"] = impaired_since.isoformat()
        body["events"] = [{"code": code, "not_before": moment.isoformat()} for code, moment in events]
        self._post("instance-status", body)

    def put_public_parameter(self, name: str, value: str) -> None:
        """Write an SSM parameter under /aws/service."""
        self._post("ssm", {"name": name, "value": value})

    def faults(self, *rules: FaultRule) -> None:
        """Set the rules by which calls fail; none ends all faults."""
        self._post("faults", {"rules": [asdict(rule) for rule in rules]})

    def calls(self, *, after: int = 0, forget: bool = False) -> list[RecordedCall]:
        """The AWS calls answered after a number, oldest first."""
        rows = self._post("calls", {"after": after, "forget": forget})["calls"]
        return [
            RecordedCall(
                **{
                    **row,
                    "at": datetime.fromisoformat(row["at"]),
                    "needed": tuple(Needed(**need) for need in row["needed"]),
                }
            )
            for row in rows
        ]

    def enforce_iam(self, *, on: bool) -> None:
        """Check permissions from here on, or stop checking."""
        self._post("iam", {"enforce": on})

    def cluster(self, name: str, **changes: Any) -> None:
        """Change a cluster: endpoint, certificate_authority, network, oidc_issuer, version, authentication_mode."""
        self._post("cluster", {"name": name, **changes})

    def capacity_block(
        self, instance_type: str, zone: str, count: int, *, end: datetime, tags: Mapping[str, str] | None = None
    ) -> str:
        """A capacity block that was bought; its id."""
        params = {
            "InstanceType": instance_type,
            "AvailabilityZone": zone,
            "InstanceCount": count,
            "InstanceMatchCriteria": "targeted",
            "ReservationType": "capacity-block",
            "EndDate": end.isoformat(),
        }
        return str(self._post("reservation", {"params": params, "tags": dict(tags or {})})["id"])

    def change_reservation(self, reservation_id: str, *, state: str | None = None, total: int | None = None) -> None:
        """Set a reservation's state or size."""
        wanted = {"id": reservation_id, "state": state, "total": total}
        self._post("reservation", {k: v for k, v in wanted.items() if v is not None})

    def zonal_shift(self, resource: str, *zone_ids: str, duration: timedelta = timedelta(hours=1)) -> None:
        """Register a resource with ARC, shifted away from these zones."""
        body = {"resource": resource, "zones": list(zone_ids), "duration_s": duration.total_seconds()}
        self._post("zonal-shift", body)

    def seed(self, seed: int) -> None:
        """Choose another seed."""
        self._post("seed", {"seed": seed})

    def inventory(self) -> Inventory:
        """What exists in the region."""
        return Inventory(self._post("inventory", {})["inventory"])

    def _post(self, what: str, body: Mapping[str, Any]) -> dict[str, Any]:
        content = json.dumps({"region": self.region, **body}).encode()
        headers = {"Content-Type": "application/json"}
        request = Request(f"{self.url}/sim/{what}", content, headers)  # noqa: S310 - the box's own http URL
        try:
            with _OPENER.open(request, timeout=TIMEOUT_S) as answer:
                result: dict[str, Any] = json.load(answer)
                return result
        except HTTPError as error:
            raise ControlError(f"{what}: {error.read().decode()}") from error
