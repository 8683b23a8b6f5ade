"""Kubelet settings that are expressions, worked out for an instance type (spec 1.6.3, the gate NodeClassCEL).

A result is a bare number in the unit in which people write the setting. Amounts are rounded up to steps, so that types
of nearly the same size share a launch template.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec

from nodesmith.adapters.aws.capacity import NodeShape, pods_of, shape_of
from nodesmith.adapters.aws.catalog import TypeFacts
from nodesmith.adapters.aws.families import family_of
from nodesmith.adapters.aws.settings import AwsSettings
from nodesmith.api.ec2nodeclass import EC2NodeClass, KubeletConfiguration
from nodesmith.api.expressions import EvaluationError, Expression, compiled
from nodesmith.api.wire.kubelet import is_expression

UNITS: Final[Mapping[str, tuple[int, str]]] = {
    "cpu": (10, "m"),
    "memory": (16, "Mi"),
    "ephemeral-storage": (1, "Gi"),
    "pid": (1, ""),
}
"""By resource: the step that results are rounded up to, and the unit that they are in."""
_MOST_PODS: Final = 2**31 - 1


def expressions_of(kubelet: KubeletConfiguration) -> dict[str, str]:
    """Every expression, by the way to it (`kubeReserved.cpu`)."""
    found = {"maxPods": kubelet.max_pods} if isinstance(kubelet.max_pods, str) else {}
    for name, amounts in (("kubeReserved", kubelet.kube_reserved), ("systemReserved", kubelet.system_reserved)):
        found |= {f"{name}.{key}": text for key, text in (amounts or {}).items() if is_expression(text)}
    return found


def without_expressions(kubelet: KubeletConfiguration) -> KubeletConfiguration:
    """The settings that are the same for every type."""
    return msgspec.structs.replace(
        kubelet,
        max_pods=None if isinstance(kubelet.max_pods, str) else kubelet.max_pods,
        kube_reserved=_plain(kubelet.kube_reserved),
        system_reserved=_plain(kubelet.system_reserved),
    )


def node_shape(node_class: EC2NodeClass, settings: AwsSettings) -> NodeShape:
    """What of the NodeClass bears on capacity; expressions only where they are switched on."""
    shape = shape_of(
        node_class.spec,
        family_of(node_class.ami_family),
        memory_overhead=settings.vm_memory_overhead_percent,
        reserved_enis=settings.reserved_enis,
    )
    return shape if settings.is_cel_enabled else replace(shape, kubelet=without_expressions(shape.kubelet))


def settled(shape: NodeShape, facts: TypeFacts) -> NodeShape:
    """The shape that nodes of the type have, every expression replaced by its result.

    In the expression of `maxPods`, `max_pods` is what the type takes by itself; in the others it is what came out.

    Raises:
        ExpressionError: when a text is no expression.
        EvaluationError: when an expression has no usable result for the type.
    """
    kubelet = shape.kubelet
    if not expressions_of(kubelet):
        return shape
    plain = replace(shape, kubelet=without_expressions(kubelet))
    if isinstance(kubelet.max_pods, str):
        most = _result("maxPods", compiled(kubelet.max_pods), _facts(plain, facts))
        if most > _MOST_PODS:
            raise EvaluationError(f"maxPods: {most} for {facts.name} is out of range")
        plain = replace(plain, kubelet=msgspec.structs.replace(plain.kubelet, max_pods=most))
    known = _facts(plain, facts)
    amounts = {
        "kube_reserved": _worked_out("kubeReserved", kubelet.kube_reserved, known),
        "system_reserved": _worked_out("systemReserved", kubelet.system_reserved, known),
    }
    return replace(plain, kubelet=msgspec.structs.replace(plain.kubelet, **amounts))


def _facts(shape: NodeShape, facts: TypeFacts) -> dict[str, Any]:
    return {
        "instance_type": facts.name,
        "vcpus": facts.vcpus,
        "memory_mib": facts.memory_mib,
        "default_enis": facts.interfaces,
        "ips_per_eni": facts.ipv4_per_interface,
        "max_pods": pods_of(facts, shape),
    }


def _worked_out(name: str, amounts: Mapping[str, str] | None, known: Mapping[str, Any]) -> dict[str, str] | None:
    if amounts is None:
        return None
    return {
        key: _amount(key, _result(f"{name}.{key}", compiled(text), known)) if is_expression(text) else text
        for key, text in amounts.items()
    }


def _amount(key: str, number: int) -> str:
    step, unit = UNITS.get(key, (1, ""))
    return f"{-(-number // step) * step}{unit}"


def _result(name: str, expression: Expression, known: Mapping[str, Any]) -> int:
    try:
        number = expression.number(known)
    except EvaluationError as error:
        raise EvaluationError(f"{name} for {known['instance_type']}: {error}") from None
    if number < 0:
        raise EvaluationError(f"{name} for {known['instance_type']}: {number} is negative")
    return number


def _plain(amounts: Mapping[str, str] | None) -> dict[str, str] | None:
    return None if amounts is None else {key: text for key, text in amounts.items() if not is_expression(text)}
