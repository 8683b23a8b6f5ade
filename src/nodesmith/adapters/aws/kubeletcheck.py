"""Whether nodes can be started with an EC2NodeClass' kubelet settings (spec 1.6.3).

The API server does not know most of the kubelet's settings, so what it let pass is told by a condition. A kubelet that
does not know a setting does not start, and one that ignores a word of a map goes on without what was meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from nodesmith.adapters.aws.families import family_of
from nodesmith.adapters.aws.kubelet import expressions_of
from nodesmith.api import served
from nodesmith.api.ec2nodeclass import EC2NodeClass, KubeletConfiguration, kubelet_of, kubelet_passed_on
from nodesmith.api.expressions import ExpressionError, compiled
from nodesmith.api.schema import schema_of
from nodesmith.api.walk import Walk

INVALID: Final = "InvalidKubeletConfiguration"
UNSUPPORTED: Final = "UnsupportedKubeletConfiguration"
DISABLED: Final = "KubeletExpressionsDisabled"
NOT_COMPILED: Final = "KubeletExpressionInvalid"
NOT_EVALUATED: Final = "KubeletExpressionEvaluationFailed"


def kubelet_fault(node_class: EC2NodeClass, *, is_cel_enabled: bool) -> tuple[str, str] | None:
    """The reason and the sentence that keep nodes from being launched, or None."""
    expressions = expressions_of(kubelet_of(node_class.spec))
    told = list(_invalid(node_class, expressions))
    if told:
        return INVALID, "; ".join(told)
    told = list(_unsupported(node_class))
    if told:
        return UNSUPPORTED, f"{node_class.ami_family} does not take {', '.join(told)}"
    if expressions and not is_cel_enabled:
        named = ", ".join(f"spec.kubelet.{name}" for name in expressions)
        return DISABLED, f"{named}: expressions need the feature gate NodeClassCEL"
    for name, text in expressions.items():
        try:
            compiled(text)
        except ExpressionError as error:
            return NOT_COMPILED, f'spec.kubelet.{name}: "{text}" {error}'
    return None


def _invalid(node_class: EC2NodeClass, expressions: Sequence[str] | dict[str, str]) -> Iterator[str]:
    """What the kubelet would not read, all at once; an expression that is none has a reason of its own."""
    walk = Walk(served.EC2_NODE_CLASS.kind.title, strays=served.EC2_NODE_CLASS.strays or {}, minds_empty=False)
    own = {f"spec.kubelet.{name}" for name in expressions}
    for problem in walk.problems(schema_of(KubeletConfiguration), node_class.spec.kubelet or {}, ("spec", "kubelet")):
        if problem.severity == "error" and ".".join(map(str, problem.path)) not in own:
            yield problem.message


def _unsupported(node_class: EC2NodeClass) -> Iterator[str]:
    """Settings that the images' own set-up has no place for and that would be lost; nobody sets up Custom ones."""
    family, kubelet = node_class.ami_family, kubelet_of(node_class.spec)
    if family in {"AL2023", "Custom"}:
        return
    yield from (f"spec.kubelet.{name}" for name in sorted(kubelet_passed_on(node_class.spec)))
    if kubelet.pods_per_core is not None and not family_of(family).is_pods_per_core_supported:
        yield "spec.kubelet.podsPerCore"
    if len(kubelet.cluster_dns or ()) > 1:
        yield "more than one spec.kubelet.clusterDNS"
