"""Laws of the requirement algebra, against sets: a requirement is the values of a universe that it allows."""

from hypothesis import given
from hypothesis import strategies as st

from nodesmith.api.scalars import requirements_of
from nodesmith.model.requirements import Requirement, Requirements

KEYS = ("k", "l", "m")
NUMBERS = [str(number) for number in range(-2, 8)]
LISTED = [*NUMBERS, "a", "b", "c", "1_0"]
UNIVERSE = [*LISTED, "fresh", "-99", "99"]
"""The last three stand for all texts and numbers that no requirement lists."""

values = st.lists(st.sampled_from(LISTED), max_size=4)
bounds = st.integers(-1, 6).map(lambda number: [str(number)])
minimum = st.none() | st.integers(1, 3)


def requirement(key: str) -> st.SearchStrategy[Requirement]:
    listed = st.tuples(st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]), values)
    bounded = st.tuples(st.sampled_from(["Gt", "Lt", "Gte", "Lte"]), bounds)
    return st.builds(
        lambda pair, least: Requirement.of(key, pair[0], pair[1], min_values=least), listed | bounded, minimum
    )


def joined(key: str) -> st.SearchStrategy[Requirement]:
    return st.lists(requirement(key), min_size=1, max_size=3).map(lambda each: Requirements.of(each).get(key))


sets = st.lists(st.sampled_from(KEYS).flatmap(requirement), max_size=6).map(Requirements.of)
labels = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(UNIVERSE), max_size=3)


def allowed(wanted: Requirement) -> set[str]:
    return {value for value in UNIVERSE if wanted.allows(value)}


def is_absence_fine(wanted: Requirement) -> bool:
    return wanted.is_negative


def satisfies(given_labels: dict[str, str], wanted: Requirements) -> bool:
    return all(
        each.allows(given_labels[each.key]) if each.key in given_labels else is_absence_fine(each) for each in wanted
    )


@given(joined("k"), joined("k"))
def test_an_intersection_allows_what_both_allow(left: Requirement, right: Requirement) -> None:
    assert allowed(left & right) == allowed(left) & allowed(right)


@given(joined("k"), joined("k"), joined("k"))
def test_order_and_repetition_do_not_matter(one: Requirement, two: Requirement, three: Requirement) -> None:
    assert one & two == two & one
    assert allowed((one & two) & three) == allowed(one & (two & three))
    assert allowed(one & one) == allowed(one)


@given(joined("k"), joined("k"))
def test_an_overlap_is_a_value_in_common(left: Requirement, right: Requirement) -> None:
    common = allowed(left) & allowed(right)
    if common:
        assert left.overlaps(right)
    if left.overlaps(right) and not common:
        # Upstream's: exclusions that use up all numbers between two bounds are not noticed.
        joint = left & right
        assert joint.complement
        assert joint.gte is not None
        assert joint.lte is not None


@given(labels, sets)
def test_labels_satisfy_what_they_are_compatible_with(given_labels: dict[str, str], wanted: Requirements) -> None:
    assert (Requirements.from_labels(given_labels).conflict(wanted) is None) is satisfies(given_labels, wanted)


@given(labels, sets, sets)
def test_all_of_two_sets_is_their_intersection(
    given_labels: dict[str, str], one: Requirements, two: Requirements
) -> None:
    have = Requirements.from_labels(given_labels)
    both = have.conflict(one) is None and have.conflict(two) is None
    joint = have.conflict(one & two) is None
    assert joint or not both
    if all(key in given_labels for key in KEYS):
        assert joint is both


@given(sets, sets)
def test_a_conflict_names_what_is_in_conflict(left: Requirements, right: Requirements) -> None:
    conflict = left.intersection_conflict(right)
    if conflict is None:
        return
    assert conflict.present is not None
    assert not conflict.present.overlaps(conflict.wanted)
    assert right.intersection_conflict(left) is not None


@given(sets)
def test_a_manifest_says_the_same_but_for_exclusions_beside_bounds(wanted: Requirements) -> None:
    read = requirements_of(wanted.to_manifest())
    assert {each.key: allowed(each) for each in read} == {each.key: allowed(each) for each in wanted}
    assert {each.key: each.min_values for each in read} == {each.key: each.min_values for each in wanted}


@given(sets, sets)
def test_nothing_is_changed_by_being_asked(left: Requirements, right: Requirements) -> None:
    before = dict(left.by_key)
    _ = left & right, left.conflict(right), left.without(KEYS)
    assert left.by_key == before
