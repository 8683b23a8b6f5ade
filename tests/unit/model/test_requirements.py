import pytest

from nodesmith.model.labels import ARCH, INSTANCE_TYPE, ZONE, canonical, is_restricted
from nodesmith.model.requirements import MAX_INT64, Incompatible, Operator, Requirement, Requirements

KEY = "example.com/x"


def requirement(operator: str, *values: str, min_values: int | None = None) -> Requirement:
    return Requirement.of(KEY, operator, values, min_values=min_values)


TABLE = {
    "Exists": requirement("Exists"),
    "DoesNotExist": requirement("DoesNotExist"),
    "In A": requirement("In", "A"),
    "In AB": requirement("In", "A", "B"),
    "NotIn A": requirement("NotIn", "A"),
    "In 1": requirement("In", "1"),
    "In 9": requirement("In", "9"),
    "In 19": requirement("In", "1", "9"),
    "NotIn 12": requirement("NotIn", "1", "2"),
    "Gt 1": requirement("Gt", "1"),
    "Gt 9": requirement("Gt", "9"),
    "Lt 1": requirement("Lt", "1"),
    "Lt 9": requirement("Lt", "9"),
}


@pytest.mark.parametrize(
    ("left", "right", "shown"),
    [
        ("Exists", "Exists", f"{KEY} Exists"),
        ("Exists", "DoesNotExist", f"{KEY} DoesNotExist"),
        ("Exists", "In AB", f"{KEY} In [A B]"),
        ("Exists", "NotIn A", f"{KEY} NotIn [A]"),
        ("In A", "In AB", f"{KEY} In [A]"),
        ("In A", "NotIn A", f"{KEY} DoesNotExist"),
        ("In AB", "NotIn A", f"{KEY} In [B]"),
        ("NotIn A", "NotIn 12", f"{KEY} NotIn [1 2 A]"),
        ("In 19", "Gt 1", f"{KEY} In [9]"),
        ("In AB", "Gt 1", f"{KEY} DoesNotExist"),
        ("NotIn A", "Gt 1", f"{KEY} Exists >=2"),
        ("NotIn 12", "Gt 1", f"{KEY} NotIn [2] >=2"),
        ("Gt 1", "Lt 9", f"{KEY} Exists >=2 <=8"),
        ("Gt 9", "Lt 1", f"{KEY} DoesNotExist"),
        ("Gt 1", "Gt 9", f"{KEY} Exists >=10"),
        ("Lt 1", "Lt 9", f"{KEY} Exists <=0"),
    ],
)
def test_what_both_allow(left: str, right: str, shown: str) -> None:
    assert str(TABLE[left] & TABLE[right]) == shown
    assert str(TABLE[right] & TABLE[left]) == shown


def test_bounds_are_read_as_integers_and_what_is_none_is_outside() -> None:
    above = requirement("Gt", "1")
    assert above.allows("2")
    assert not above.allows("1")
    for value in ("two", "", "1_0", "2.5", str(2**63)):
        assert not above.allows(value)
    assert requirement("Gt", str(MAX_INT64)) == requirement("DoesNotExist")
    assert requirement("Gte", "2") == requirement("Gt", "1")
    assert requirement("Lte", "1") == requirement("Lt", "2")


@pytest.mark.parametrize("values", [(), ("1", "2"), ("one",), ("1_0",)])
def test_a_bound_is_one_integer(values: tuple[str, ...]) -> None:
    with pytest.raises(ValueError):
        requirement("Gt", *values)


def test_an_unknown_operator_is_refused() -> None:
    with pytest.raises(ValueError):
        requirement("in", "a")


def test_the_greatest_min_values_counts_and_is_shown() -> None:
    joint = requirement("Exists", min_values=2) & requirement("In", "a", "b", "c", min_values=3)
    assert joint.min_values == 3
    assert str(joint) == f"{KEY} In [a b c] minValues 3"
    assert (requirement("Gt", "9", min_values=2) & requirement("Lt", "1")).min_values == 2


def test_long_lists_are_cut_where_people_read_them() -> None:
    assert str(requirement("In", *"abcdefg")) == f"{KEY} In [a b c d e and 2 others]"


def test_operators_of_what_is_stored() -> None:
    assert TABLE["Gt 1"].operator is Operator.EXISTS
    assert (TABLE["NotIn 12"] & TABLE["Gt 1"]).operator is Operator.NOT_IN
    assert TABLE["NotIn A"].is_negative
    assert TABLE["DoesNotExist"].is_negative
    assert not TABLE["Gt 1"].is_negative


def test_a_requirement_says_the_same_in_a_manifest() -> None:
    assert requirement("In", "b", "a", min_values=2).to_manifest() == [
        {"key": KEY, "operator": "In", "values": ["a", "b"], "minValues": 2}
    ]
    assert (requirement("Gt", "1") & requirement("Lt", "9")).to_manifest() == [
        {"key": KEY, "operator": "Gte", "values": ["2"]},
        {"key": KEY, "operator": "Lte", "values": ["8"]},
    ]
    assert requirement("DoesNotExist").to_manifest() == [{"key": KEY, "operator": "DoesNotExist"}]


def test_old_keys_mean_the_new_ones() -> None:
    assert Requirement.of("beta.kubernetes.io/arch", "In", ["arm64"]).key == ARCH
    assert Requirements.from_labels({"failure-domain.beta.kubernetes.io/zone": "a"}).get(ZONE).values == {"a"}
    assert canonical("example.com/x") == "example.com/x"


def test_an_absent_key_is_unconstrained() -> None:
    nothing = Requirements()
    assert not nothing
    assert nothing.get(KEY).allows("anything")
    assert KEY not in nothing
    assert len(Requirements.of([TABLE["In A"]]).without([KEY])) == 0


def labelled(**labels: str) -> Requirements:
    return Requirements.from_labels({f"example.com/{key}": value for key, value in labels.items()})


def wants(*requirements: Requirement) -> Requirements:
    return Requirements.of(requirements)


def test_compatibility_is_asked_from_one_side() -> None:
    asks = wants(TABLE["In AB"])
    assert labelled(x="A").conflict(asks) is None
    refused = labelled(x="C").conflict(asks)
    assert isinstance(refused, Incompatible)
    assert str(refused) == f"key {KEY}, {KEY} In [A B] not in {KEY} In [C]"
    assert str(labelled(y="C").conflict(asks)) == f'label "{KEY}" does not have known values'
    assert asks.conflict(labelled(x="A")) is None


@pytest.mark.parametrize(
    ("name", "is_fine"), [("NotIn A", True), ("DoesNotExist", True), ("Exists", False), ("Gt 1", False)]
)
def test_an_undefined_label_satisfies_only_what_is_negative(name: str, is_fine: bool) -> None:  # noqa: FBT001 - a parameter
    assert (labelled(y="A").conflict(wants(TABLE[name])) is None) is is_fine


def test_well_known_labels_may_be_undefined_on_a_node_to_be_bought() -> None:
    asks = wants(Requirement.of(INSTANCE_TYPE, "In", ["m5.large"]))
    assert Requirements().conflict(asks) is not None
    assert Requirements().conflict_with_new_node(asks) is None
    assert Requirements().conflict_with_new_node(wants(TABLE["In A"])) is not None


def test_two_negatives_never_conflict() -> None:
    assert wants(TABLE["DoesNotExist"]).conflict(wants(TABLE["NotIn A"])) is None
    assert wants(TABLE["DoesNotExist"]).conflict(wants(TABLE["Exists"])) is not None


@pytest.mark.parametrize(
    ("key", "answer"),
    [
        ("karpenter.sh/capacity-type", False),
        ("karpenter.sh/nodepool", False),
        ("karpenter.sh/other", True),
        ("sub.karpenter.sh/other", True),
        ("xkarpenter.sh/other", False),
        ("karpenter.k8s.aws/instance-family", False),
        ("karpenter.k8s.aws/other", True),
        ("kubernetes.io/hostname", True),
        ("kubernetes.io/other", False),
        ("karpenter.sh", False),
    ],
)
def test_which_labels_users_may_not_set(key: str, answer: bool) -> None:  # noqa: FBT001 - a parameter
    assert is_restricted(key) is answer
