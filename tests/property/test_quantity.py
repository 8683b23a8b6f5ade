"""Quantities and amounts: reading what was written, and the arithmetic by name."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from nodesmith.api.scalars import format_duration, parse_duration
from nodesmith.model.quantity import canonical, format_resource, parse, parse_resource
from nodesmith.model.resources import fits, greatest, least, minus, shortfall, total

SUFFIXES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
NAMES = ["cpu", "memory", "ephemeral-storage", "pods", "hugepages-2Mi", "nvidia.com/gpu"]

amounts = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 10**6), max_size=4)


@given(st.sampled_from(NAMES), st.integers(0, 2**50))
def test_what_is_written_is_read_again(name: str, amount: int) -> None:
    assert parse_resource(name, format_resource(name, amount)) == amount


@given(st.decimals(0, 10**6, places=3), st.sampled_from(sorted(SUFFIXES)))
def test_fractions_are_rounded_up(number: object, suffix: str) -> None:
    exact = Fraction(str(number)) * SUFFIXES[suffix]
    parsed = parse(f"{number}{suffix}")
    assert exact <= parsed < exact + 1


@given(st.decimals(0, 10**6, places=3), st.sampled_from(sorted(SUFFIXES)))
def test_the_canonical_text_means_the_same_and_stays(number: object, suffix: str) -> None:
    text = canonical(f"{number}{suffix}")
    assert parse(text, 1000) == parse(f"{number}{suffix}", 1000)
    assert canonical(text) == text


@given(amounts, amounts, amounts)
def test_sums_take_back_and_bound(one: dict[str, int], two: dict[str, int], three: dict[str, int]) -> None:
    both = total([one, two])
    assert {name: n for name, n in minus(both, two).items() if n} == {name: n for name, n in one.items() if n}
    assert total([both, three]) == total([one, total([two, three])])
    assert fits(one, greatest([one, two]))
    assert fits(least([one, two]), one)
    assert fits(one, both)


@given(amounts, amounts)
def test_what_does_not_fit_lacks_something(request: dict[str, int], room: dict[str, int]) -> None:
    assert fits(request, room) is not bool(shortfall(request, room))
    assert fits(request, total([room, shortfall(request, room)]))


@given(st.integers(0, 10**7))
def test_durations_are_read_as_they_are_written(seconds: int) -> None:
    duration = parse_duration(f"{seconds}s")
    assert parse_duration(format_duration(duration)) == duration
