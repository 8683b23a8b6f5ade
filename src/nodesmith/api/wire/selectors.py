"""How an EC2NodeClass finds subnets, security groups, reservations, placement groups and images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from msgspec import field

from nodesmith.api.wire.base import Wire
from nodesmith.api.wire.checks import counts, each, each_entry, has, items_of, whole
from nodesmith.api.wire.field import Field, Places, Rule

FAMILY_OF_ALIAS: Final = {
    "al2": "AL2",
    "al2023": "AL2023",
    "bottlerocket": "Bottlerocket",
    "windows2019": "Windows2019",
    "windows2022": "Windows2022",
    "windows2025": "Windows2025",
}
MOST_TERMS: Final = 30

_EXCLUSIVE: Final = "is mutually exclusive, cannot be set with a combination of other"

_TAGS_FIELD: Final = Field(
    "Tags that it has; the value * stands for any.",
    max_properties=20,
    rules=(
        Rule(
            cel="self.all(k, k != '' && self[k] != '')",
            message="empty tag keys or values aren't supported",
            broken=each_entry(lambda key, value: key != "" and value != ""),
            hint="use * for any value",
        ),
    ),
)
Tags = Annotated[Mapping[str, str], _TAGS_FIELD]


def _not_empty(name: str) -> Rule:
    return Rule(
        cel="self.size() != 0",
        message=f"{name} cannot be empty",
        broken=whole(lambda terms: len(terms) > 0),
        hint="at least one term is needed, such as {tags: {karpenter.sh/discovery: CLUSTER}}",
    )


def _says(*names: str) -> Rule:
    listed = ", ".join(f"'{name}'" for name in names)
    return Rule(
        cel=f"self.all(x, {' || '.join(f'has(x.{name})' for name in names)})",
        message=f"expected at least one, got none, [{listed}]",
        broken=each(lambda term: counts(term, *names) > 0),
        hint=f"give the term one of {listed}",
    )


def _alone(name: str, *others: str) -> tuple[Rule, Rule]:
    """The API server only refuses a list all of whose terms mix, as upstream's does; lint minds each."""
    listed = ", ".join(f"'{other}'" for other in others)
    mixes = f"has(x.{name}) && ({' || '.join(f'has(x.{other})' for other in others)})"
    message = f"'{name}' {_EXCLUSIVE} fields in a term"

    def is_mixed(term: Any) -> bool:
        return has(term, name) and counts(term, *others) > 0

    def all_mixed(terms: Any) -> Places:
        found = [is_mixed(term) for term in terms]
        return [(index, name) for index in range(len(found))] if found and all(found) else ()

    def some_mixed(terms: Any) -> Places:
        found = [index for index, term in items_of(terms) if is_mixed(term)]
        return [(index, name) for index in found] if len(found) < len(terms) else ()

    hint = f"put {listed} in a term of its own"
    return (
        Rule(cel=f"self.size() == 0 || !self.all(x, {mixes})", message=message, broken=all_mixed, hint=hint),
        Rule(cel="", message=message, broken=some_mixed, hint=hint, is_warning=True),
    )


class SubnetSelectorTerm(Wire, frozen=True, kw_only=True):
    """One way to find subnets."""

    tags: Tags = field(default_factory=dict)
    id: Annotated[
        str, Field("Its id.", pattern="^subnet-[0-9a-z]+$", hint="an id such as subnet-0123456789abcdef0")
    ] = ""


SUBNETS_FIELD: Final = Field(
    "Which subnets instances go to; any term may match.",
    max_items=MOST_TERMS,
    is_required=True,
    hint="subnetSelectorTerms: [{tags: {karpenter.sh/discovery: CLUSTER}}]",
    rules=(_not_empty("subnetSelectorTerms"), _says("tags", "id"), *_alone("id", "tags")),
)


class SecurityGroupSelectorTerm(Wire, frozen=True, kw_only=True):
    """One way to find security groups."""

    tags: Tags = field(default_factory=dict)
    id: Annotated[str, Field("Its id.", pattern="^sg-[0-9a-z]+$", hint="an id such as sg-0123456789abcdef0")] = ""
    name: Annotated[str, Field("Its name (not the tag Name).")] = ""


SECURITY_GROUPS_FIELD: Final = Field(
    "Which security groups instances have; any term may match.",
    max_items=MOST_TERMS,
    is_required=True,
    hint="securityGroupSelectorTerms: [{tags: {karpenter.sh/discovery: CLUSTER}}]",
    rules=(
        _not_empty("securityGroupSelectorTerms"),
        _says("tags", "id", "name"),
        *_alone("id", "tags", "name"),
        *_alone("name", "tags", "id"),
    ),
)


class CapacityReservationSelectorTerm(Wire, frozen=True, kw_only=True):
    """One way to find capacity reservations."""

    tags: Tags = field(default_factory=dict)
    id: Annotated[str, Field("Its id.", pattern="^cr-[0-9a-z]+$", hint="an id such as cr-0123456789abcdef0")] = ""
    owner_id: Annotated[
        str, Field("The account that owns it.", pattern="^[0-9]{12}$", hint="twelve digits, in quotes")
    ] = ""
    instance_match_criteria: Annotated[str, Field("Which instances it takes by itself.", enum=("open", "targeted"))] = (
        ""
    )


CAPACITY_RESERVATIONS_FIELD: Final = Field(
    "Which capacity reservations may be used; any term may match.",
    max_items=MOST_TERMS,
    rules=(
        _says("tags", "id", "instanceMatchCriteria"),
        *_alone("id", "tags", "ownerID", "instanceMatchCriteria"),
    ),
)


class PlacementGroupSelector(Wire, frozen=True, kw_only=True):
    """The placement group that instances go to."""

    RULES = (
        Rule(
            cel="has(self.name) != has(self.id)",
            message="expected exactly one of ['name', 'id']",
            broken=whole(lambda group: counts(group, "name", "id") == 1),
            hint="the name of the placement group, or its id",
        ),
    )

    name: Annotated[str | None, Field("Its name.", min_length=1)] = None
    id: Annotated[str | None, Field("Its id.", pattern="^pg-[0-9a-z]+$", hint="an id such as pg-0123456789abcdef0")] = (
        None
    )


def family_of(alias: Any) -> str:
    """What stands before the @ of an alias."""
    return str(alias).split("@", 1)[0]


_FAMILIES: Final = ", ".join(f"'{name}'" for name in FAMILY_OF_ALIAS)


def _is_windows_latest(alias: Any) -> bool:
    return not family_of(alias).startswith("windows") or str(alias).split("@", 1)[-1] == "latest"


_ALIAS_FIELD: Final = Field(
    "EKS-optimised images of a family, by version: al2023@latest, al2023@v20250101.",
    max_length=30,
    pattern="^[a-zA-Z0-9]+@.+$",
    hint="FAMILY@VERSION, such as al2023@latest",
    rules=(
        Rule(
            cel=f"self.find('^[^@]+') in [{_FAMILIES}]",
            message="family is not supported, must be one of: " + _FAMILIES.replace("'", ""),
            broken=whole(lambda alias: "@" not in alias or family_of(alias) in FAMILY_OF_ALIAS),
            hint="FAMILY@VERSION, such as al2023@latest",
        ),
        Rule(
            cel="!self.startsWith('windows') || self.find('[^@]+$') == 'latest'",
            message="windows families may only specify version 'latest'",
            broken=whole(_is_windows_latest),
            hint="@latest",
        ),
    ),
)


class AMISelectorTerm(Wire, frozen=True, kw_only=True):
    """One way to find images."""

    alias: Annotated[str, _ALIAS_FIELD] = ""
    tags: Tags = field(default_factory=dict)
    id: Annotated[str, Field("Its id.", pattern="^ami-[0-9a-z]+$", hint="an id such as ami-0123456789abcdef0")] = ""
    name: Annotated[str, Field("Its name; * and ? may be used.")] = ""
    owner: Annotated[str, Field("The account that owns it, or self or amazon; goes with name or tags.")] = ""
    ssm_parameter: Annotated[str, Field("An SSM parameter that holds its id.")] = ""


def _alias_among_others(terms: Any) -> Places:
    found = [index for index, term in items_of(terms) if has(term, "alias")]
    return [(index, "alias") for index in found] if len(terms) > 1 else ()


AMIS_FIELD: Final = Field(
    "Which images instances start from; any term may match.",
    min_items=1,
    max_items=MOST_TERMS,
    is_required=True,
    hint="amiSelectorTerms: [{alias: al2023@latest}]",
    rules=(
        _says("tags", "id", "name", "alias", "ssmParameter"),
        Rule(
            cel="!self.exists(x, has(x.id) && (has(x.alias) || has(x.tags) || has(x.name) || has(x.owner)))",
            message=f"'id' {_EXCLUSIVE} fields in amiSelectorTerms",
            broken=each(lambda term: not has(term, "id") or not counts(term, "alias", "tags", "name", "owner"), "id"),
            hint="put it in a term of its own",
        ),
        Rule(
            cel="!self.exists(x, has(x.alias) && (has(x.id) || has(x.tags) || has(x.name) || has(x.owner)))",
            message=f"'alias' {_EXCLUSIVE} fields in amiSelectorTerms",
            broken=each(
                lambda term: not has(term, "alias") or not counts(term, "id", "tags", "name", "owner"), "alias"
            ),
            hint="an alias stands alone",
        ),
        Rule(
            cel="!(self.exists(x, has(x.alias)) && self.size() != 1)",
            message=f"'alias' {_EXCLUSIVE} amiSelectorTerms",
            broken=_alias_among_others,
            hint="an alias must be the only term",
        ),
    ),
)
