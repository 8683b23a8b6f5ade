"""NodeOverlay's JSON (spec 1.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from msgspec import field

from nodesmith.api.wire.base import Wire
from nodesmith.api.wire.checks import each, each_key, has, whole
from nodesmith.api.wire.common import (
    BOUND_IS_A_NUMBER,
    CONDITIONS_FIELD,
    NOT_CORE,
    NOT_HOSTNAME,
    OPERATOR_FIELD,
    VALUE_FIELD,
    VALUES_FIELD,
    ConditionWire,
)
from nodesmith.api.wire.field import Field, Rule
from nodesmith.api.wire.nodepool import Amount
from nodesmith.api.wire.patterns import (
    AWS_KEYS_ALLOWED,
    KEY_HINT,
    LONGEST_KEY,
    MOST_ENTRIES,
    QUALIFIED_NAME,
    domain_cel,
    is_in_domain,
)
from nodesmith.model.labels import (
    AWS_GROUP,
    PLACEMENT_GROUP_ID,
    PLACEMENT_GROUP_PARTITION,
    RESERVATION_ID,
    RESERVATION_INTERRUPTIBLE,
    RESERVATION_TYPE,
    TENANCY,
)

_OF_LAUNCHES: Final = frozenset(
    {
        TENANCY,
        RESERVATION_ID,
        RESERVATION_TYPE,
        RESERVATION_INTERRUPTIBLE,
        PLACEMENT_GROUP_ID,
        PLACEMENT_GROUP_PARTITION,
    }
)
_KEYS_ALLOWED: Final = tuple(key for key in AWS_KEYS_ALLOWED if key not in _OF_LAUNCHES)
_KEY_RULES: Final = (
    NOT_CORE,
    NOT_HOSTNAME,
    Rule(
        cel=domain_cel("self", AWS_GROUP, _KEYS_ALLOWED),
        message=f'label domain "{AWS_GROUP}" is restricted',
        broken=whole(lambda key: key in _KEYS_ALLOWED or not is_in_domain(key, AWS_GROUP)),
        hint="only labels of instance types can be used, not those of a launch",
        likely=_KEYS_ALLOWED,
    ),
)
_KNOWN_RESOURCES: Final = ("cpu", "memory", "ephemeral-storage", "pods")


def _is_extended(resource: str) -> bool:
    return resource not in _KNOWN_RESOURCES


def _has_values(requirement: Any) -> bool:
    return requirement.get("operator") not in {"In", "NotIn"} or bool(requirement.get("values"))


class OverlayRequirementWire(Wire, frozen=True, kw_only=True):
    """What an instance type's label must be."""

    key: Annotated[
        str,
        Field(
            "The label that is required.",
            pattern=QUALIFIED_NAME,
            max_length=LONGEST_KEY,
            hint=KEY_HINT,
            rules=_KEY_RULES,
        ),
    ]
    operator: Annotated[str, OPERATOR_FIELD]
    values: Annotated[tuple[Annotated[str, VALUE_FIELD], ...], VALUES_FIELD] = ()


class NodeOverlaySpecWire(Wire, frozen=True, kw_only=True):
    """Which instance types are told apart, and what is told of them."""

    RULES = (
        Rule(
            cel="!(has(self.price) && has(self.priceAdjustment))",
            message="cannot set both 'price' and 'priceAdjustment'",
            broken=whole(lambda spec: not (has(spec, "price") and has(spec, "priceAdjustment")), "priceAdjustment"),
            hint="price replaces, priceAdjustment adds: choose one",
        ),
    )

    requirements: Annotated[
        tuple[OverlayRequirementWire, ...],
        Field(
            "Which offerings it is about; all must hold.",
            max_items=MOST_ENTRIES,
            list_type="atomic",
            is_required=True,
            rules=(
                Rule(
                    cel=("self.all(x, !(x.operator in ['In', 'NotIn']) || (has(x.values) && x.values.size() > 0))"),
                    message="requirements with operator 'In' or 'NotIn' must have a value defined",
                    broken=each(_has_values, "values"),
                    hint="list at least one value",
                ),
                BOUND_IS_A_NUMBER,
            ),
        ),
    ]
    price_adjustment: Annotated[
        str | None,
        Field(
            "Added to the price: dollars an hour with a sign, or a percentage with a sign.",
            pattern=r"^(([+-]{1}(\d*\.?\d+))|(\+{1}\d*\.?\d+%)|(^(-\d{1,2}(\.\d+)?%)$)|(-100%))$",
            hint='with a sign: "+0.01", "-10%"',
        ),
    ] = None
    price: Annotated[
        str | None,
        Field("The price instead, in dollars an hour.", pattern=r"^\d+(\.\d+)?$", hint='dollars in quotes: "0.05"'),
    ] = None
    capacity: Annotated[
        Mapping[str, Amount],
        Field(
            "Extended resources that nodes will have besides.",
            rules=(
                Rule(
                    cel="self.all(x, !(x in ['cpu', 'memory', 'ephemeral-storage', 'pods']))",
                    message="invalid resource restricted",
                    broken=each_key(_is_extended),
                    hint="only extended resources, such as smarter-devices/fuse, can be added",
                ),
            ),
        ),
    ] = field(default_factory=dict)
    weight: Annotated[
        int | None, Field("Of two overlays on one thing the heavier counts.", minimum=1, maximum=10000, format="int32")
    ] = None


class NodeOverlayStatusWire(Wire, frozen=True, kw_only=True):
    """Whether the overlay is in force."""

    conditions: Annotated[tuple[ConditionWire, ...], CONDITIONS_FIELD] = ()


class NodeOverlayWire(Wire, frozen=True, kw_only=True):
    """Another price, or more resources, for some instance types than the cloud tells."""

    spec: Annotated[NodeOverlaySpecWire, Field("What is told.")]
    status: Annotated[NodeOverlayStatusWire | None, Field("Whether it is in force.")] = None
