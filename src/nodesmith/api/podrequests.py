"""What a pod takes from a node: its effective requests and limits (spec section 2, Resources)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from nodesmith.api.scalars import amounts_of
from nodesmith.model.resources import Resources, greatest, total

Container = Mapping[str, Any]

_POD_LEVEL: Final = ("cpu", "memory")
_HUGE_PAGES: Final = "hugepages-"


def effective_requests(spec: Mapping[str, Any], allocated: Mapping[str, Resources]) -> dict[str, int]:
    """The pod's requests, `pods` = 1 included.

    `allocated` is what running containers hold by name; while a resize is under way the larger of the two counts.
    """

    def of(container: Container) -> Resources:
        wanted = container_requests(container)
        held = allocated.get(container.get("name") or "")
        return greatest((wanted, held)) if held else wanted

    summed = _over_time(spec, of)
    stated = _pod_level(spec, "requests") or {}
    for name, amount in (_pod_level(spec, "limits") or {}).items():
        if name not in stated and name not in summed:
            stated = {**stated, name: amount}
    summed.update(stated)
    return total((summed, amounts_of(spec.get("overhead")), {"pods": 1}))


def effective_limits(spec: Mapping[str, Any]) -> dict[str, int]:
    """The pod's limits, by the same rules."""
    summed = _over_time(spec, container_limits)
    summed.update(_pod_level(spec, "limits") or {})
    return total((summed, amounts_of(spec.get("overhead")))) if summed else summed


def container_requests(container: Container) -> Resources:
    """The container's requests; where one is missing, its limit."""
    stated = container.get("resources") or {}
    limits, requests = stated.get("limits"), stated.get("requests")
    return {**amounts_of(limits), **amounts_of(requests)} if limits else amounts_of(requests)


def container_limits(container: Container) -> Resources:
    """The container's limits."""
    return amounts_of((container.get("resources") or {}).get("limits"))


def is_sidecar(container: Container) -> bool:
    """Whether an init container goes on running beside the others."""
    return container.get("restartPolicy") == "Always"


def _over_time(spec: Mapping[str, Any], of: Any) -> dict[str, int]:
    """The most the containers take at any time: each init container runs beside the sidecars started before it."""
    sidecars: dict[str, int] = {}
    starting: list[Resources] = []
    for container in spec.get("initContainers") or ():
        needed = of(container)
        if is_sidecar(container):
            sidecars = total((sidecars, needed))
            starting.append(sidecars)
        else:
            starting.append(total((sidecars, needed)))
    containers: Sequence[Container] = spec.get("containers") or ()
    running = total((*(of(container) for container in containers), sidecars))
    return greatest((running, *starting)) if starting else running


def _pod_level(spec: Mapping[str, Any], kind: str) -> dict[str, int] | None:
    stated = (spec.get("resources") or {}).get(kind)
    if not stated:
        return None
    amounts = amounts_of(stated)
    return {name: n for name, n in amounts.items() if name in _POD_LEVEL or name.startswith(_HUGE_PAGES)}
