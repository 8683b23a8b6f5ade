"""Pod affinity, anti-affinity and topology spread, with the API server's defaults folded in.

`matchLabelKeys` and `mismatchLabelKeys` become part of the selector, taken from the pod's own labels; a label that the
pod lacks is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from nodesmith.api.scalars import selector_of
from nodesmith.model.pod import DO_NOT_SCHEDULE, PodAffinityTerm, TopologySpreadConstraint, WeightedPodAffinityTerm
from nodesmith.model.selector import Expression, LabelSelector

Terms = tuple[tuple[PodAffinityTerm, ...], tuple[WeightedPodAffinityTerm, ...]]

_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"


@dataclass(frozen=True, slots=True)
class PodContext:
    """What of the pod itself has a say in its terms."""

    namespace: str
    labels: Mapping[str, str]


def pod_affinity_of(affinity: Mapping[str, Any], pod: PodContext) -> Terms:
    """Required and preferred pod affinity terms."""
    return _terms(affinity.get("podAffinity") or {}, pod)


def anti_affinity_of(affinity: Mapping[str, Any], pod: PodContext) -> Terms:
    """Required and preferred pod anti-affinity terms."""
    return _terms(affinity.get("podAntiAffinity") or {}, pod)


def spread_of(raw: Any, pod: PodContext) -> tuple[TopologySpreadConstraint, ...]:
    """The topology spread constraints."""
    return tuple(
        TopologySpreadConstraint(
            topology_key=each.get("topologyKey") or "",
            max_skew=each.get("maxSkew") or 1,
            when_unsatisfiable=each.get("whenUnsatisfiable") or DO_NOT_SCHEDULE,
            selector=_narrowed(selector_of(each.get("labelSelector")), each, pod),
            min_domains=each.get("minDomains"),
            honor_node_affinity=each.get("nodeAffinityPolicy") != "Ignore",
            honor_node_taints=each.get("nodeTaintsPolicy") == "Honor",
        )
        for each in raw or ()
    )


def _terms(side: Mapping[str, Any], pod: PodContext) -> Terms:
    required = tuple(_term(each, pod) for each in side.get(_REQUIRED) or ())
    preferred = tuple(
        WeightedPodAffinityTerm(each.get("weight") or 0, _term(each.get("podAffinityTerm") or {}, pod))
        for each in side.get(_PREFERRED) or ()
    )
    return required, preferred


def _term(raw: Mapping[str, Any], pod: PodContext) -> PodAffinityTerm:
    namespaces = frozenset(raw.get("namespaces") or ())
    namespace_selector = selector_of(raw.get("namespaceSelector"))
    if not namespaces and namespace_selector is None:
        namespaces = frozenset((pod.namespace,))
    return PodAffinityTerm(
        topology_key=raw.get("topologyKey") or "",
        selector=_narrowed(selector_of(raw.get("labelSelector")), raw, pod),
        namespaces=namespaces,
        namespace_selector=namespace_selector,
    )


def _narrowed(selector: LabelSelector | None, raw: Mapping[str, Any], pod: PodContext) -> LabelSelector | None:
    if selector is None:
        return None
    alike = _own_labels(raw.get("matchLabelKeys"), "In", pod)
    unlike = _own_labels(raw.get("mismatchLabelKeys"), "NotIn", pod)
    return selector.also(*alike, *unlike) if alike or unlike else selector


def _own_labels(keys: Any, operator: str, pod: PodContext) -> list[Expression]:
    return [Expression(key, operator, (pod.labels[key],)) for key in keys or () if key in pod.labels]
