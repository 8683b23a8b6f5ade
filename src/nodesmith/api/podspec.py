"""Pod specs, decoded once for all pods that share one.

`PodSpecs` is an interner: the part of a raw spec that matters is encoded to bytes, and pods with equal bytes get the
same `PodSpec` object, so 10,000 replicas cost one decoding and a dictionary look-up each. A spec that comes as JSON is
remembered by the hash of its bytes: when a pod's status changes, nothing of its spec is read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from nodesmith.api.affinity import PodContext, anti_affinity_of, pod_affinity_of, spread_of
from nodesmith.api.meta import texts_of
from nodesmith.api.podrequests import effective_limits, effective_requests, is_sidecar
from nodesmith.api.scalars import amounts_of, nothing_satisfies, requirement_of
from nodesmith.api.shapes import NULL, ContainerStatusShape, PodSpecShape
from nodesmith.model.labels import HOSTNAME
from nodesmith.model.pod import HostPort, NodeSelectorTerm, PodSpec, PodVolume, PreferredTerm
from nodesmith.model.resources import Resources
from nodesmith.model.taints import Toleration

Raw = Mapping[str, Any]

_SPECS: Final = msgspec.json.Decoder(PodSpecShape)

_FIELDS: Final = (
    "nodeSelector",
    "affinity",
    "topologySpreadConstraints",
    "tolerations",
    "overhead",
    "resources",
    "hostNetwork",
    "priority",
    "priorityClassName",
    "resourceClaims",
    "terminationGracePeriodSeconds",
)
_MOST: Final = 65_536
"""Entries after which the interner starts anew; a cluster has a few thousand shapes."""
_MOST_WHOLES: Final = 2**18
"""The same for specs as they came: each pod has its own, and another one when it is bound."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A decoded spec and the pod's limits."""

    spec: PodSpec
    limits: Resources


@dataclass(slots=True)
class _Entry:
    """Shapes of one raw spec; more than one where the pod's namespace or labels have a say."""

    needs_namespace: bool
    label_keys: tuple[str, ...]
    shapes: dict[tuple[str | None, ...], Shape] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Whole:
    """What is known of a spec as it came, so that it need not be read again."""

    node_name: str
    has_scheduling_gates: bool
    entry: _Entry
    requests: Mapping[str, Any]
    """What each container asks for, as it is written."""


class PodSpecs:
    """Decodes pod specs, equal ones to the same object."""

    def __init__(self) -> None:
        self._entries: dict[bytes, _Entry] = {}
        self._specs: dict[PodSpec, PodSpec] = {}
        self._wholes: dict[int, Whole] = {}
        self._requests: dict[bytes, Mapping[str, Any]] = {}

    def whole_of(self, raw: Raw | msgspec.Raw) -> Whole:
        """What there is to know of the spec, whoever's it is."""
        if not isinstance(raw, msgspec.Raw):
            return self._read(raw)
        seen = hash(bytes(raw))
        whole = self._wholes.get(seen)
        if whole is None:
            if len(self._wholes) >= _MOST_WHOLES:
                self._wholes.clear()
            whole = self._wholes[seen] = self._read(_opened(raw))
        return whole

    def shape_of(
        self,
        raw: Raw | msgspec.Raw,
        *,
        namespace: str,
        labels: Mapping[str, str],
        statuses: Iterable[ContainerStatusShape] | None = None,
        whole: Whole | None = None,
    ) -> Shape:
        """The spec and limits of a pod in this namespace with these labels; `statuses` are its containers'."""
        whole = whole or self.whole_of(raw)
        allocated = _resizing(whole.requests, statuses) if statuses else {}
        entry = self._entry(_opened(raw), allocated) if allocated else whole.entry
        context = (namespace if entry.needs_namespace else None, *(labels.get(each) for each in entry.label_keys))
        shape = entry.shapes.get(context)
        if shape is None:
            plain = _plain(_opened(raw))
            spec = _decode(plain, PodContext(namespace, labels), allocated)
            shape = Shape(self._specs.setdefault(spec, spec), effective_limits(plain))
            entry.shapes[context] = shape
        return shape

    def _read(self, raw: Raw) -> Whole:
        containers = (*(raw.get("containers") or ()), *(raw.get("initContainers") or ()))
        requests = {each.get("name") or "": (each.get("resources") or {}).get("requests") for each in containers}
        return Whole(
            node_name=raw.get("nodeName") or "",
            has_scheduling_gates=bool(raw.get("schedulingGates")),
            entry=self._entry(raw, {}),
            requests=self._requests.setdefault(msgspec.json.encode(requests), requests),
        )

    def _entry(self, raw: Raw, allocated: Mapping[str, Resources]) -> _Entry:
        key = msgspec.json.encode(_what_matters(raw, allocated))
        entry = self._entries.get(key)
        if entry is None:
            self._make_room()
            plain = _plain(raw)
            entry = self._entries[key] = _Entry(_needs_namespace(plain), _match_label_keys(plain))
        return entry

    def _make_room(self) -> None:
        if len(self._entries) >= _MOST:
            for each in (self._entries, self._specs, self._wholes, self._requests):
                each.clear()


def _opened(raw: Raw | msgspec.Raw) -> Raw:
    """The spec with the parts that are read; whole, where a part has another type than it should."""
    if not isinstance(raw, msgspec.Raw):
        return raw
    spec: Raw | None
    try:
        spec = _SPECS.decode(raw)
    except msgspec.ValidationError:
        spec = msgspec.json.decode(raw)
    return spec or {}


def _what_matters(raw: Raw, allocated: Mapping[str, Resources]) -> list[Any]:
    return [
        [(c.get("resources"), c.get("ports")) for c in raw.get("containers") or ()],
        [(c.get("resources"), c.get("restartPolicy"), c.get("ports")) for c in raw.get("initContainers") or ()],
        [
            (volume.get("name"), volume.get("persistentVolumeClaim"), volume.get("ephemeral"))
            for volume in raw.get("volumes") or ()
            if "persistentVolumeClaim" in volume or "ephemeral" in volume
        ],
        [raw.get(name) for name in _FIELDS],
        allocated or None,
    ]


def _plain(raw: Raw) -> Raw:
    """The spec with every part decoded: parts that many pods have alike may still be JSON."""
    plain: Raw = msgspec.json.decode(msgspec.json.encode(raw))
    return plain


def _resizing(wanted: Mapping[str, Any], statuses: Iterable[ContainerStatusShape]) -> dict[str, Resources]:
    """What containers hold, for those that hold something else than they ask for now."""
    held: dict[str, Resources] = {}
    for status in statuses:
        if status.allocated_resources is NULL:
            continue
        name, allocated = status.name or "", texts_of(status.allocated_resources)
        if allocated and name in wanted and allocated != wanted[name]:
            held[name] = amounts_of(allocated)
    return held


def _needs_namespace(raw: Raw) -> bool:
    affinity = raw.get("affinity") or {}
    return bool(affinity.get("podAffinity") or affinity.get("podAntiAffinity"))


def _match_label_keys(raw: Raw) -> tuple[str, ...]:
    keys: set[str] = set()
    for constraint in raw.get("topologySpreadConstraints") or ():
        keys.update(constraint.get("matchLabelKeys") or ())
    affinity = raw.get("affinity") or {}
    for side in (affinity.get("podAffinity") or {}, affinity.get("podAntiAffinity") or {}):
        required = side.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        preferred = side.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        for term in (*required, *(each.get("podAffinityTerm") or {} for each in preferred)):
            keys.update(term.get("matchLabelKeys") or (), term.get("mismatchLabelKeys") or ())
    return tuple(sorted(keys))


def _decode(raw: Raw, context: PodContext, allocated: Mapping[str, Resources]) -> PodSpec:
    affinity = raw.get("affinity") or {}
    node_affinity = affinity.get("nodeAffinity") or {}
    required = node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    preferred = node_affinity.get("preferredDuringSchedulingIgnoredDuringExecution")
    required_affinity, preferred_affinity = pod_affinity_of(affinity, context)
    required_anti, preferred_anti = anti_affinity_of(affinity, context)
    return PodSpec(
        requests=tuple(sorted(effective_requests(raw, allocated).items())),
        node_selector=tuple(sorted((raw.get("nodeSelector") or {}).items())),
        required_node_terms=node_terms_of(required),
        preferred_node_terms=tuple(
            PreferredTerm(each.get("weight") or 0, node_term_of(each.get("preference") or {}))
            for each in preferred or ()
        ),
        required_affinity=required_affinity,
        preferred_affinity=preferred_affinity,
        required_anti_affinity=required_anti,
        preferred_anti_affinity=preferred_anti,
        topology_spread=spread_of(raw.get("topologySpreadConstraints"), context),
        tolerations=tolerations_of(raw.get("tolerations")),
        host_ports=_host_ports(raw),
        volumes=tuple(_volumes(raw)),
        has_resource_claims=bool(raw.get("resourceClaims")),
        has_match_fields=any(term.get("matchFields") for term in (required or {}).get("nodeSelectorTerms") or ()),
        priority=raw.get("priority"),
        priority_class=raw.get("priorityClassName") or "",
        termination_grace_period_s=_grace(raw.get("terminationGracePeriodSeconds")),
    )


def tolerations_of(raw: Any) -> tuple[Toleration, ...]:
    """The tolerations of a list."""
    return tuple(
        Toleration(
            key=each.get("key") or "",
            operator=each.get("operator") or "Equal",
            value=each.get("value") or "",
            effect=each.get("effect") or "",
        )
        for each in raw or ()
    )


def node_term_of(raw: Raw) -> NodeSelectorTerm:
    """The expressions of a node selector term."""
    return tuple(requirement_of(each) for each in raw.get("matchExpressions") or ())


def node_terms_of(raw: Any) -> tuple[NodeSelectorTerm, ...]:
    """The ORed terms of a node selector; an empty term selects nothing, and so do empty terms alone."""
    listed = (raw or {}).get("nodeSelectorTerms") or ()
    stated = tuple(node_term_of(term) for term in listed if term.get("matchExpressions") or term.get("matchFields"))
    return stated or (((nothing_satisfies(HOSTNAME),),) if listed else ())


def _host_ports(raw: Raw) -> tuple[HostPort, ...]:
    takes_all = bool(raw.get("hostNetwork"))
    ports: set[HostPort] = set()
    sidecars = (each for each in raw.get("initContainers") or () if is_sidecar(each))
    for container in (*(raw.get("containers") or ()), *sidecars):
        for port in container.get("ports") or ():
            number = port.get("hostPort") or (port.get("containerPort") if takes_all else None)
            if number:
                ports.add(HostPort(number, port.get("protocol") or "TCP", port.get("hostIP") or "0.0.0.0"))  # noqa: S104 - the API's default
    return tuple(sorted(ports))


def _volumes(raw: Raw) -> list[PodVolume]:
    volumes = []
    for volume in raw.get("volumes") or ():
        if claim := volume.get("persistentVolumeClaim"):
            volumes.append(PodVolume(claim.get("claimName") or ""))
        elif "ephemeral" in volume:
            template = (volume["ephemeral"] or {}).get("volumeClaimTemplate") or {}
            storage_class = (template.get("spec") or {}).get("storageClassName")
            volumes.append(PodVolume(volume.get("name") or "", is_ephemeral=True, storage_class=storage_class))
    return volumes


def _grace(raw: Any) -> int:
    return 30 if raw is None else int(raw)
