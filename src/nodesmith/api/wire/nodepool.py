"""NodePool's JSON (spec 1.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from croniter import croniter
from msgspec import field

from nodesmith.api.wire.base import Wire
from nodesmith.api.wire.checks import each, each_key, has, whole
from nodesmith.api.wire.common import (
    CONDITIONS_FIELD,
    REQUIREMENTS_FIELD,
    STARTUP_TAINTS_FIELD,
    TAINTS_FIELD,
    ConditionWire,
    NodeClassRefWire,
    PoolRequirementWire,
    TaintWire,
)
from nodesmith.api.wire.field import Field, Rule
from nodesmith.api.wire.patterns import (
    AWS_LABELS_ALLOWED,
    CORE_KEYS_ALLOWED,
    DURATION,
    DURATION_HINT,
    DURATION_OR_NEVER,
    DURATION_OR_NEVER_HINT,
    LABEL_VALUE,
    LONGEST_VALUE,
    MOST_ENTRIES,
    QUANTITY,
    QUANTITY_HINT,
    VALUE_HINT,
    domain_cel,
    is_in_domain,
)
from nodesmith.model.labels import AWS_GROUP, GROUP, HOSTNAME
from nodesmith.model.nodepool import ConsolidationPolicy, DisruptionReason

EXPIRE_AFTER_FIELD: Final = Field(
    "How old a node may become before it is replaced; Never for no limit.",
    pattern=DURATION_OR_NEVER,
    default="720h",
    hint=DURATION_OR_NEVER_HINT,
)
GRACE_PERIOD_FIELD: Final = Field(
    "How long draining a node may take before its pods are deleted, whatever their budgets say.",
    pattern=DURATION,
    hint=DURATION_HINT,
)
AMOUNT_FIELD: Final = Field(pattern=QUANTITY, hint=QUANTITY_HINT)
Amount = Annotated[str | int, AMOUNT_FIELD]


def is_schedule(schedule: Any) -> bool:
    """Whether croniter understands the schedule."""
    return bool(croniter.is_valid(schedule))


_LABEL_RULES: Final = (
    Rule(
        cel=f"self.all(x, {domain_cel('x', GROUP, CORE_KEYS_ALLOWED)})",
        message=f'label domain "{GROUP}" is restricted',
        broken=each_key(lambda key: key in CORE_KEYS_ALLOWED or not is_in_domain(key, GROUP)),
        hint="use a key of your own domain",
    ),
    Rule(
        cel=f"self.all(x, x != '{GROUP}/nodepool')",
        message=f'label "{GROUP}/nodepool" is restricted',
        broken=each_key(lambda key: key != f"{GROUP}/nodepool"),
        hint="nodes get this label from their NodePool's name",
    ),
    Rule(
        cel=f"self.all(x, x != '{HOSTNAME}')",
        message=f'label "{HOSTNAME}" is restricted',
        broken=each_key(lambda key: key != HOSTNAME),
        hint="nodes set it themselves",
    ),
    Rule(
        cel=f"self.all(x, {domain_cel('x', AWS_GROUP, AWS_LABELS_ALLOWED)})",
        message=f'label domain "{AWS_GROUP}" is restricted',
        broken=each_key(lambda key: key in AWS_LABELS_ALLOWED or not is_in_domain(key, AWS_GROUP)),
        hint="only the labels that AWS nodes have can be used",
        likely=AWS_LABELS_ALLOWED,
    ),
)


class TemplateMetadataWire(Wire, frozen=True, kw_only=True):
    """Labels and annotations of the nodes."""

    labels: Annotated[
        Mapping[str, Annotated[str, Field(pattern=LABEL_VALUE, max_length=LONGEST_VALUE, hint=VALUE_HINT)]],
        Field("Labels that nodes have.", max_properties=MOST_ENTRIES, map_type="atomic", rules=_LABEL_RULES),
    ] = field(default_factory=dict)
    annotations: Annotated[Mapping[str, str], Field("Annotations that nodes have.")] = field(default_factory=dict)


class TemplateSpecWire(Wire, frozen=True, kw_only=True):
    """What the nodes are."""

    requirements: Annotated[tuple[PoolRequirementWire, ...], REQUIREMENTS_FIELD]
    node_class_ref: Annotated[
        NodeClassRefWire,
        Field(
            "Which EC2NodeClass says how machines are made.",
            hint="nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: default}",
            rules=(
                Rule(cel="self.group == oldSelf.group", message="nodeClassRef.group is immutable"),
                Rule(cel="self.kind == oldSelf.kind", message="nodeClassRef.kind is immutable"),
            ),
        ),
    ]
    taints: Annotated[tuple[TaintWire, ...], TAINTS_FIELD] = ()
    startup_taints: Annotated[tuple[TaintWire, ...], STARTUP_TAINTS_FIELD] = ()
    expire_after: Annotated[str, EXPIRE_AFTER_FIELD] = "720h"
    termination_grace_period: Annotated[str | None, GRACE_PERIOD_FIELD] = None


class TemplateWire(Wire, frozen=True, kw_only=True):
    """The shape of the pool's nodes."""

    metadata: Annotated[TemplateMetadataWire | None, Field("Labels and annotations of the nodes.")] = None
    spec: Annotated[TemplateSpecWire, Field("What the nodes are.", hint="it holds nodeClassRef and requirements")]


class BudgetWire(Wire, frozen=True, kw_only=True):
    """How many nodes may be disrupted at once, and when that holds."""

    nodes: Annotated[
        str,
        Field(
            "How many: a count, or a percentage of the pool's nodes rounded up.",
            pattern=r"^((100|[0-9]{1,2})%|[0-9]+)$",
            default="10%",
            is_required=True,
            hint='a count or a percentage up to 100, in quotes: "3", "10%"',
        ),
    ] = "10%"
    reasons: Annotated[
        tuple[Annotated[str, Field(enum=tuple(DisruptionReason))], ...] | None,
        Field("For which reasons it holds; for all where left out.", max_items=50, list_type="set"),
    ] = None
    schedule: Annotated[
        str | None,
        Field(
            "When it begins to hold: cron in UTC, or @daily and the like. Goes with duration.",
            pattern=r"^(@(annually|yearly|monthly|weekly|daily|midnight|hourly))|((.+)\s(.+)\s(.+)\s(.+)\s(.+))$",
            hint='five fields, minute first: "0 9 * * mon-fri"',
            rules=(
                Rule(
                    cel="",
                    message="the schedule cannot be understood",
                    broken=whole(is_schedule),
                    hint='five fields, minute first: "0 9 * * mon-fri"',
                ),
            ),
        ),
    ] = None
    duration: Annotated[
        str | None,
        Field(
            "How long it holds then. Goes with schedule.",
            pattern=r"^((([0-9]+(h|m))|([0-9]+h[0-9]+m))(0s)?)$",
            hint="hours and minutes: 8h, 30m, 1h30m",
        ),
    ] = None


_BOTH_OR_NEITHER: Final = Rule(
    cel="self.all(x, has(x.schedule) == has(x.duration))",
    message="'schedule' must be set with 'duration'",
    broken=each(lambda budget: has(budget, "schedule") == has(budget, "duration")),
    hint="a budget with a schedule holds for a duration; without both it always holds",
)


class DisruptionWire(Wire, frozen=True, kw_only=True):
    """When nodes may be taken away."""

    consolidate_after: Annotated[
        str,
        Field(
            "How long no pod may have come or gone before a node is consolidated; Never for not at all.",
            pattern=DURATION_OR_NEVER,
            default="0s",
            hint=DURATION_OR_NEVER_HINT,
        ),
    ] = "0s"
    consolidation_policy: Annotated[
        str,
        Field("Which nodes may be consolidated.", enum=tuple(ConsolidationPolicy), default="WhenEmptyOrUnderutilized"),
    ] = "WhenEmptyOrUnderutilized"
    budgets: Annotated[
        tuple[BudgetWire, ...],
        Field(
            "How many nodes may be disrupted at once; the least of those that hold counts.",
            max_items=50,
            list_type="atomic",
            default=[{"nodes": "10%"}],
            rules=(_BOTH_OR_NEITHER,),
        ),
    ] = ()


def _limits_only_nodes(spec: Any) -> bool:
    limits = spec.get("limits")
    return not has(spec, "replicas") or not isinstance(limits, Mapping) or set(limits) <= {"nodes"}


class NodePoolSpecWire(Wire, frozen=True, kw_only=True):
    """What may be bought, how much of it, and when it may be taken away."""

    RULES = (
        Rule(
            cel="has(self.replicas) == has(oldSelf.replicas)",
            message=(
                "Cannot transition NodePool between static (replicas set) and dynamic (replicas unset) "
                "provisioning modes"
            ),
        ),
        Rule(
            cel=(
                "!has(self.replicas) || !has(self.limits) || self.limits.size() == 0 || "
                "(self.limits.size() == 1 && 'nodes' in self.limits)"
            ),
            message="only 'limits.nodes' is supported on static NodePools",
            broken=whole(_limits_only_nodes, "limits"),
            hint="a pool with replicas has a fixed size; leave other limits out",
        ),
        Rule(
            cel="!(has(self.replicas) && has(self.weight))",
            message="'weight' is not supported on static NodePools",
            broken=whole(lambda spec: not (has(spec, "replicas") and has(spec, "weight")), "weight"),
            hint="leave weight or replicas out",
        ),
    )

    template: Annotated[
        TemplateWire, Field("The shape of the pool's nodes.", hint="it holds spec, and metadata for labels")
    ]
    disruption: Annotated[
        DisruptionWire, Field("When nodes may be taken away.", default={"consolidateAfter": "0s"})
    ] = DisruptionWire()
    limits: Annotated[
        Mapping[str, Amount],
        Field("The most that all nodes of the pool may have together, by resource; `nodes` counts them."),
    ] = field(default_factory=dict)
    weight: Annotated[
        int | None,
        Field("Pools of more weight are tried first; 0 where left out.", minimum=1, maximum=100, format="int32"),
    ] = None
    replicas: Annotated[
        int | None, Field("Makes the pool static: this many nodes, whatever pods there are.", minimum=0, format="int64")
    ] = None


class NodePoolStatusWire(Wire, frozen=True, kw_only=True):
    """What became of the pool."""

    resources: Annotated[Mapping[str, Amount], Field("What all nodes of the pool have together.")] = field(
        default_factory=dict
    )
    nodes: Annotated[int, Field("How many nodes the pool has.", default=0, format="int64")] = 0
    node_class_observed_generation: Annotated[
        int | None, Field("The NodeClass' generation that registration was judged by.", format="int64")
    ] = None
    conditions: Annotated[tuple[ConditionWire, ...], CONDITIONS_FIELD] = ()


class NodePoolWire(Wire, frozen=True, kw_only=True):
    """What machines may be bought for pods that lack room, how many, and when they may be taken away."""

    spec: Annotated[NodePoolSpecWire, Field("What is asked for.")]
    status: Annotated[NodePoolStatusWire | None, Field("What became of it.")] = None
