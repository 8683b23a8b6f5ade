"""EventBridge messages from the queue, understood (spec 7.12). Never fails: what nobody understands is a no-op."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from nodesmith.api.meta import parse_time
from nodesmith.ports.queue import Interruption, InterruptionKind

_STATES: Final = frozenset({"stopping", "stopped", "shutting-down", "terminated"})
_STOPS: Final = frozenset({"stopping", "stopped"})
_BY_DETAIL_TYPE: Final = {
    "EC2 Spot Instance Interruption Warning": InterruptionKind.SPOT_INTERRUPTED,
    "EC2 Instance Rebalance Recommendation": InterruptionKind.REBALANCE_RECOMMENDATION,
    "EC2 Capacity Reservation Instance Interruption Warning": InterruptionKind.CAPACITY_RESERVATION_INTERRUPTED,
}
_STATE_CHANGE: Final = "EC2 Instance State-change Notification"
_HEALTH: Final = "AWS Health Event"


class _Malformed(Exception):
    """The message has not the shape that its kind has."""


def parse_message(body: str, receipt: str) -> Interruption:
    """What the message tells."""
    try:
        document = _without_case(json.loads(body)) if body else {}
        return _parse(document or {}, receipt)
    except (ValueError, _Malformed):
        return Interruption(InterruptionKind.NO_OP, (), receipt)


def _parse(document: Any, receipt: str) -> Interruption:
    if not isinstance(document, dict):
        raise _Malformed
    sent_at = _sent_at(document)
    _texts(document.get("resources") or [])
    kind, instances = _kind_and_instances(document)
    if kind is InterruptionKind.NO_OP:
        return Interruption(kind, (), receipt)
    return Interruption(kind, tuple(each for each in instances if each), receipt, sent_at)


def _kind_and_instances(document: Mapping[str, Any]) -> tuple[InterruptionKind, Sequence[str]]:
    nothing = (InterruptionKind.NO_OP, ())
    if document.get("version") != "0":
        return nothing
    source, detail_type = document.get("source"), document.get("detail-type")
    detail = document.get("detail") or {}
    if source == "aws.health" and detail_type == _HEALTH:
        return _health(_mapping(detail)) or nothing
    if source != "aws.ec2":
        return nothing
    if detail_type == _STATE_CHANGE:
        return _state_change(_mapping(detail)) or nothing
    kind = _BY_DETAIL_TYPE.get(str(detail_type))
    return nothing if kind is None else (kind, (_text(_mapping(detail).get("instance-id")),))


def _health(detail: Mapping[str, Any]) -> tuple[InterruptionKind, Sequence[str]] | None:
    if detail.get("service") != "EC2" or detail.get("eventtypecategory") != "scheduledChange":
        return None
    entities = detail.get("affectedentities") or []
    if not isinstance(entities, list):
        raise _Malformed
    return InterruptionKind.SCHEDULED_CHANGE, [_text(_mapping(each).get("entityvalue")) for each in entities]


def _state_change(detail: Mapping[str, Any]) -> tuple[InterruptionKind, Sequence[str]] | None:
    state = _text(detail.get("state"))
    if state.lower() not in _STATES:
        return None
    kind = InterruptionKind.INSTANCE_STOPPED if state in _STOPS else InterruptionKind.INSTANCE_TERMINATED
    return kind, (_text(detail.get("instance-id")),)


def _sent_at(document: Mapping[str, Any]) -> datetime | None:
    text = document.get("time")
    if text is None:
        return None
    moment = parse_time(text)
    if moment is None:
        raise _Malformed
    return moment


def _without_case(value: Any) -> Any:
    """The value with member names in lower case: the senders' documentation and their messages differ in it."""
    if isinstance(value, dict):
        return {str(key).lower(): _without_case(each) for key, each in value.items()}
    return [_without_case(each) for each in value] if isinstance(value, list) else value


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _Malformed
    return value


def _text(value: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise _Malformed
    return value or ""


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise _Malformed
    return [_text(each) for each in value]
