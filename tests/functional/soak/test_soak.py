"""A dozen seeds for under an hour each, and the hour of peace; `make soak` takes more of both."""

import pytest

from tests.functional.soak.soak import soak


@pytest.mark.parametrize("seed", range(12))
def test_no_law_is_broken(seed: int) -> None:
    soak(seed, hours=0.75)
