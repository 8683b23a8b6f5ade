"""The kubelet's settings in an EC2NodeClass (spec 1.6.3): twelve that nodesmith reads, and all others of the kubelet's.

The API server keeps what it has no schema for, and states no rule for what may be an expression: `lint` does, and the
controller with the condition `ValidationSucceeded`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Final

from nodesmith.api.expressions import ExpressionError, compiled
from nodesmith.api.wire.base import Wire
from nodesmith.api.wire.checks import each_entry, each_key, whole
from nodesmith.api.wire.field import Field, Places, Rule
from nodesmith.api.wire.kubeletfields import OTHER_FIELDS
from nodesmith.api.wire.patterns import DURATION, DURATION_HINT, QUANTITY, QUANTITY_HINT
from nodesmith.model.quantity import QuantityError, parse

RESERVABLE: Final = ("cpu", "memory", "ephemeral-storage", "pid")
SIGNALS: Final = (
    "memory.available",
    "nodefs.available",
    "nodefs.inodesFree",
    "imagefs.available",
    "imagefs.inodesFree",
    "pid.available",
)

_PERCENT: Final = r"((\d{1,2}(\.\d{1,2})?|100(\.0{1,2})?)%)"
_THRESHOLD: Final = rf"^{_PERCENT}|{QUANTITY[1:-1]}$"


def _only(names: tuple[str, ...], cel_of: str) -> Rule:
    listed = ", ".join(f"'{name}'" for name in names)
    return Rule(
        cel=f"self.all(x, x in [{listed}])",
        message=f"valid keys for {cel_of} are [{listed}]",
        broken=each_key(lambda key: key in names),
        hint=f"one of {', '.join(names)}",
    )


def _reserved(name: str, about: str) -> Field:
    not_negative = Rule(
        cel="self.all(x, !self[x].startsWith('-'))",
        message=f"{name} value cannot be a negative resource quantity",
        broken=each_entry(lambda _, amount: not str(amount).startswith("-")),
        hint="what is reserved is at least 0",
    )
    return Field(about, max_properties=len(RESERVABLE), rules=(_only(RESERVABLE, name), not_negative))


def _of_signals(name: str, about: str) -> Field:
    return Field(about, max_properties=len(SIGNALS), rules=(_only(SIGNALS, name),))


def is_expression(value: Any) -> bool:
    """Whether a value of `maxPods`, or an amount that is reserved, is to be worked out for each instance type."""
    if not isinstance(value, str):
        return False
    try:
        parse(value)
    except QuantityError:
        return True
    return False


def _compiles(text: str) -> bool:
    try:
        compiled(text)
    except ExpressionError:
        return False
    return True


def _expression_rules(what: str, hint: str, is_meant: Callable[[Any], bool]) -> tuple[Rule, ...]:
    """For a value that may be an expression: one that is none is wrong, one that is needs the gate."""
    return (
        Rule(
            cel="",
            message=f"this is neither {what} nor an expression that makes a number",
            broken=whole(lambda value: not is_meant(value) or "${" in value or _compiles(value)),
            hint=hint,
        ),
        Rule(
            cel="",
            message="an expression is worked out for each instance type only with the gate NodeClassCEL",
            broken=whole(lambda value: not is_meant(value) or "${" in value or not _compiles(value)),
            hint="with `--aws-feature-gates=NodeClassCEL=true` it may stay; a number without quotes is no expression",
            is_warning=True,
        ),
    )


def _unmatched(left: str, right: str) -> Any:
    """Signals that `left` has and `right` lacks."""

    def broken(kubelet: Any) -> Places:
        others = kubelet.get(right)
        known = others if isinstance(others, Mapping) else {}
        mine = kubelet.get(left)
        return [(left, key) for key in mine if key not in known] if isinstance(mine, Mapping) else ()

    return broken


def _is_high_above_low(kubelet: Any) -> bool:
    high, low = kubelet.get("imageGCHighThresholdPercent"), kubelet.get("imageGCLowThresholdPercent")
    return not (isinstance(high, int) and isinstance(low, int)) or high > low


Reservation = Annotated[
    str, Field(hint=QUANTITY_HINT, rules=_expression_rules("a quantity", QUANTITY_HINT, is_expression))
]
MAX_PODS: Final = Field(
    "The most pods that a node takes; or an expression, which needs the gate NodeClassCEL.",
    hint="a number from 0",
    rules=(
        Rule(
            cel="type(self) != int || self >= 0",
            message="maxPods cannot be negative",
            broken=whole(lambda value: isinstance(value, str) or value >= 0),
            hint="a number from 0",
        ),
        *_expression_rules(
            "a number",
            "a number from 0, or an expression such as min(110, max_pods)",
            lambda value: isinstance(value, str),
        ),
    ),
)
Threshold = Annotated[str, Field(pattern=_THRESHOLD, hint="a percentage or a quantity, in quotes: 10%, 500Mi")]


class KubeletConfiguration(Wire, frozen=True, kw_only=True):
    """Settings of the kubelet; the rest is the image's."""

    OTHERS: ClassVar[Mapping[str, Any]] = {
        **OTHER_FIELDS,
        "evictionMinimumReclaim": Annotated[Mapping[str, Threshold], _of_signals("evictionMinimumReclaim", "")],
    }

    RULES = (
        Rule(
            cel=(
                "has(self.imageGCHighThresholdPercent) && has(self.imageGCLowThresholdPercent) ? "
                "self.imageGCHighThresholdPercent > self.imageGCLowThresholdPercent : true"
            ),
            message="imageGCHighThresholdPercent must be greater than imageGCLowThresholdPercent",
            broken=whole(_is_high_above_low, "imageGCHighThresholdPercent"),
            hint="images are removed from the high threshold down to the low one",
        ),
        Rule(
            cel=(
                "has(self.evictionSoft) ? self.evictionSoft.all(e, has(self.evictionSoftGracePeriod) && "
                "(e in self.evictionSoftGracePeriod)) : true"
            ),
            message="evictionSoft OwnerKey does not have a matching evictionSoftGracePeriod",
            broken=_unmatched("evictionSoft", "evictionSoftGracePeriod"),
            hint="give evictionSoftGracePeriod an entry of the same signal",
        ),
        Rule(
            cel=(
                "has(self.evictionSoftGracePeriod) ? self.evictionSoftGracePeriod.all(e, has(self.evictionSoft) && "
                "(e in self.evictionSoft)) : true"
            ),
            message="evictionSoftGracePeriod OwnerKey does not have a matching evictionSoft",
            broken=_unmatched("evictionSoftGracePeriod", "evictionSoft"),
            hint="give evictionSoft an entry of the same signal",
        ),
    )

    cluster_dns: Annotated[tuple[str, ...] | None, Field("Addresses of the cluster's DNS servers.")] = None
    max_pods: Annotated[int | str | None, MAX_PODS] = None
    pods_per_core: Annotated[
        int | None, Field("The most pods that a node takes for each CPU.", minimum=0, format="int32")
    ] = None
    system_reserved: Annotated[
        Mapping[str, Reservation] | None, _reserved("systemReserved", "What is kept for the system's daemons.")
    ] = None
    kube_reserved: Annotated[
        Mapping[str, Reservation] | None, _reserved("kubeReserved", "What is kept for Kubernetes' own daemons.")
    ] = None
    eviction_hard: Annotated[
        Mapping[str, Threshold] | None, _of_signals("evictionHard", "Below these pods are evicted at once.")
    ] = None
    eviction_soft: Annotated[
        Mapping[str, Threshold] | None, _of_signals("evictionSoft", "Below these pods are evicted after a while.")
    ] = None
    eviction_soft_grace_period: Annotated[
        Mapping[str, Annotated[str, Field(pattern=DURATION, hint=DURATION_HINT)]] | None,
        _of_signals("evictionSoftGracePeriod", "How long that while is, by signal."),
    ] = None
    eviction_max_pod_grace_period: Annotated[
        int | None, Field("The most seconds that a pod evicted by a soft threshold gets to end.", format="int32")
    ] = None
    image_gc_high_threshold_percent: Annotated[
        int | None, Field("Disk use at which images are removed.", minimum=0, maximum=100, format="int32")
    ] = None
    image_gc_low_threshold_percent: Annotated[
        int | None, Field("Disk use down to which images are removed.", minimum=0, maximum=100, format="int32")
    ] = None
    cpu_cfs_quota: Annotated[bool | None, Field("Whether CPU limits are enforced.")] = None
