"""Values in the order of their keys: as sorting them all would have them, whatever came and went."""

from hypothesis import given
from hypothesis import strategies as st

from nodesmith.state.ordered import Ordered

KEYS = st.text("abc", min_size=1, max_size=4)


@given(
    start=st.dictionaries(KEYS, st.integers()),
    changes=st.lists(st.dictionaries(KEYS, st.none() | st.integers(), max_size=12), max_size=8),
    run=st.integers(1, 4),
)
def test_the_order_is_that_of_sorting(start: dict[str, int], changes: list[dict[str, int | None]], run: int) -> None:
    ordered: Ordered[int] = Ordered(run=run)
    ordered.fill(start)
    there = dict(start)
    for change in changes:
        for key, value in change.items():
            if value is None:
                there.pop(key, None)
            else:
                there[key] = value
        ordered.update(change, there)
        assert ordered.values() == tuple(value for _, value in sorted(there.items()))
