"""What NodePools, NodeClaims and NodeOverlays have in common: requirements, taints, references, conditions."""

from __future__ import annotations

from typing import Annotated, Any, Final

from nodesmith.api.wire.base import Wire
from nodesmith.api.wire.checks import each, whole
from nodesmith.api.wire.field import Field, Rule
from nodesmith.api.wire.patterns import (
    AWS_KEYS_ALLOWED,
    AWS_LABELS_ALLOWED,
    CORE_KEYS_ALLOWED,
    KEY_HINT,
    LABEL_VALUE,
    LONGEST_KEY,
    LONGEST_VALUE,
    MOST_ENTRIES,
    QUALIFIED_NAME,
    VALUE_HINT,
    domain_cel,
    is_in_domain,
)
from nodesmith.model.labels import AWS_GROUP, GROUP, HOSTNAME
from nodesmith.model.requirements import MAX_INT64, Operator
from nodesmith.model.taints import EFFECTS

BOUNDS: Final = frozenset({"Gt", "Lt", "Gte", "Lte"})


def has_values(requirement: Any) -> bool:
    """An In requirement lists values."""
    return requirement.get("operator") != "In" or bool(requirement.get("values"))


def has_one_bound(requirement: Any) -> bool:
    """A bound is one number that is not negative."""
    values = requirement.get("values") or []
    if requirement.get("operator") not in BOUNDS:
        return True
    return len(values) == 1 and str(values[0]).isdecimal() and int(values[0]) <= MAX_INT64


def has_enough_values(requirement: Any) -> bool:
    """An In requirement lists at least as many values as it asks for."""
    least = requirement.get("minValues")
    if requirement.get("operator") != "In" or not isinstance(least, int):
        return True
    return len(requirement.get("values") or []) >= least


IN_HAS_VALUES: Final = Rule(
    cel="self.all(x, x.operator != 'In' || (has(x.values) && x.values.size() > 0))",
    message="requirements with operator 'In' must have a value defined",
    broken=each(has_values, "values"),
    hint="list at least one value, or use the operator Exists",
)
BOUND_IS_A_NUMBER: Final = Rule(
    cel=(
        "self.all(x, !(x.operator in ['Gt', 'Lt', 'Gte', 'Lte']) || "
        "(has(x.values) && x.values.size() == 1 && int(x.values[0]) >= 0))"
    ),
    message="requirements operator 'Gt', 'Lt', 'Gte', or 'Lte' must have a single positive integer value",
    broken=each(has_one_bound, "values"),
    hint='one whole number in quotes: ["4"]',
)
MIN_VALUES_ARE_THERE: Final = Rule(
    cel=("self.all(x, x.operator != 'In' || !has(x.minValues) || (has(x.values) && x.values.size() >= x.minValues))"),
    message="requirements with 'minValues' must have at least that many values specified in the 'values' field",
    broken=each(has_enough_values, "minValues"),
    hint="list more values, or lower minValues",
)
REQUIREMENT_RULES: Final = (IN_HAS_VALUES, BOUND_IS_A_NUMBER, MIN_VALUES_ARE_THERE)

NOT_CORE: Final = Rule(
    cel=domain_cel("self", GROUP, CORE_KEYS_ALLOWED),
    message=f'label domain "{GROUP}" is restricted',
    broken=whole(lambda key: key in CORE_KEYS_ALLOWED or not is_in_domain(key, GROUP)),
    hint="use a key of your own domain",
)
NOT_NODEPOOL: Final = Rule(
    cel=f"self != '{GROUP}/nodepool'",
    message=f'label "{GROUP}/nodepool" is restricted',
    broken=whole(lambda key: key != f"{GROUP}/nodepool"),
    hint="nodes get this label from their NodePool's name",
)
NOT_HOSTNAME: Final = Rule(
    cel=f"self != '{HOSTNAME}'",
    message=f'label "{HOSTNAME}" is restricted',
    broken=whole(lambda key: key != HOSTNAME),
    hint="no node has a name before it is bought",
)


def _not_unknown_aws(allowed: tuple[str, ...]) -> Rule:
    return Rule(
        cel=domain_cel("self", AWS_GROUP, allowed),
        message=f'label domain "{AWS_GROUP}" is restricted',
        broken=whole(lambda key: key in allowed or not is_in_domain(key, AWS_GROUP)),
        hint="only the labels that AWS nodes have can be used",
        likely=allowed,
    )


NOT_UNKNOWN_AWS: Final = _not_unknown_aws(AWS_KEYS_ALLOWED)
CLAIM_KEY_RULES: Final = (NOT_CORE, NOT_HOSTNAME, _not_unknown_aws(AWS_LABELS_ALLOWED))
"""Claims that Karpenter made name their EC2NodeClass among their requirements."""
POOL_KEY_RULES: Final = (NOT_CORE, NOT_NODEPOOL, NOT_HOSTNAME, NOT_UNKNOWN_AWS)

KEY_FIELD: Final = Field(
    "The label that is required.", pattern=QUALIFIED_NAME, max_length=LONGEST_KEY, hint=KEY_HINT, rules=POOL_KEY_RULES
)
CLAIM_KEY_FIELD: Final = Field(
    "The label that is required.", pattern=QUALIFIED_NAME, max_length=LONGEST_KEY, hint=KEY_HINT, rules=CLAIM_KEY_RULES
)
OPERATOR_FIELD: Final = Field("How the values are meant.", enum=tuple(Operator))
VALUE_FIELD: Final = Field(pattern=LABEL_VALUE, max_length=LONGEST_VALUE, hint=VALUE_HINT)
VALUES_FIELD: Final = Field(
    "In: one of these. NotIn: none of these. Gt, Lt, Gte, Lte: a single number. Exists, DoesNotExist: left out.",
    list_type="atomic",
)


class PoolRequirementWire(Wire, frozen=True, kw_only=True):
    """What a node's label must be."""

    key: Annotated[str, KEY_FIELD]
    operator: Annotated[str, OPERATOR_FIELD]
    values: Annotated[tuple[Annotated[str, VALUE_FIELD], ...], VALUES_FIELD] = ()
    min_values: Annotated[
        int | None,
        Field(
            "How many different values of the label a node must be able to have, for flexibility.",
            minimum=1,
            maximum=50,
        ),
    ] = None


class ClaimRequirementWire(Wire, frozen=True, kw_only=True):
    """What a node's label must be."""

    key: Annotated[str, CLAIM_KEY_FIELD]
    operator: Annotated[str, OPERATOR_FIELD]
    values: Annotated[tuple[Annotated[str, VALUE_FIELD], ...], VALUES_FIELD] = ()
    min_values: Annotated[
        int | None,
        Field(
            "How many different values of the label a node must be able to have, for flexibility.",
            minimum=1,
            maximum=50,
        ),
    ] = None


class RequirementWire(Wire, frozen=True, kw_only=True):
    """What a node's label must be, as nodesmith itself found it."""

    key: Annotated[str, Field("The label that is required.")]
    operator: Annotated[str, OPERATOR_FIELD]
    values: Annotated[tuple[str, ...], VALUES_FIELD] = ()
    min_values: Annotated[int | None, Field("How many different values a node must be able to have.")] = None


class TaintWire(Wire, frozen=True, kw_only=True):
    """Keeps pods off a node unless they tolerate it."""

    key: Annotated[str, Field("What the taint is about.", min_length=1, pattern=QUALIFIED_NAME, hint=KEY_HINT)]
    value: Annotated[str, Field("A value to tolerate by.", pattern=QUALIFIED_NAME, hint=VALUE_HINT)] = ""
    effect: Annotated[str, Field("What happens to pods that do not tolerate it.", enum=EFFECTS)]
    time_added: Annotated[str | None, Field("When it was added.", format="date-time")] = None


_IS_GIVEN: Final = {
    name: Rule(cel="self != ''", message=f"{name} may not be empty", broken=whole(bool), hint=hint)
    for name, hint in (
        ("group", "for AWS: `karpenter.k8s.aws`"),
        ("kind", "for AWS: `EC2NodeClass`"),
        ("name", "the name of an EC2NodeClass"),
    )
}


class NodeClassRefWire(Wire, frozen=True, kw_only=True):
    """Which NodeClass says how machines are made."""

    group: Annotated[
        str,
        Field(
            "API group of the NodeClass.",
            pattern=r"^[^/]*$",
            hint="the group alone, without version: `karpenter.k8s.aws`",
            rules=(_IS_GIVEN["group"],),
        ),
    ]
    kind: Annotated[str, Field("Kind of the NodeClass.", hint="for AWS: `EC2NodeClass`", rules=(_IS_GIVEN["kind"],))]
    name: Annotated[
        str, Field("Name of the NodeClass.", hint="the name of an EC2NodeClass", rules=(_IS_GIVEN["name"],))
    ]


class ConditionWire(Wire, frozen=True, kw_only=True):
    """One thing that is, is not, or is not known to be so."""

    type: Annotated[str, Field("What it is about.", max_length=LONGEST_KEY)]
    status: Annotated[str, Field("Whether it is so.", enum=("True", "False", "Unknown"))]
    reason: Annotated[str, Field("Why, as a word for programs.", max_length=1024)] = ""
    message: Annotated[str, Field("Why, as a sentence for people.", max_length=32768)] = ""
    last_transition_time: Annotated[str, Field("When the status last changed.", format="date-time")]
    observed_generation: Annotated[
        int | None, Field("The generation of the object that it was judged by.", minimum=0, format="int64")
    ] = None


REQUIREMENTS_FIELD: Final = Field(
    "Which nodes may be bought, by their labels. Requirements of one key must all hold.",
    max_items=MOST_ENTRIES,
    list_type="atomic",
    is_required=True,
    hint="an empty list allows every instance type: `requirements: []`",
    rules=REQUIREMENT_RULES,
)
TAINTS_FIELD: Final = Field("Taints that nodes have; only pods that tolerate them come.", list_type="atomic")
STARTUP_TAINTS_FIELD: Final = Field(
    "Taints that nodes have at first and that somebody (a CNI, say) takes away; pods need not tolerate them.",
    list_type="atomic",
)
CONDITIONS_FIELD: Final = Field("What is known about the object.", list_type="map")
