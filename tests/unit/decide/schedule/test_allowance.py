"""How long a plan may be improved, by how many pods it is for."""

import pytest

from nodesmith.decide.schedule.allowance import improving_time


@pytest.mark.parametrize(
    ("pods", "seconds"), [(1, 0.3), (500, 0.3), (750, 0.3), (1_000, 0.4), (2_500, 1.0), (5_000, 2.0), (100_000, 2.0)]
)
def test_it_grows_with_the_batch_between_two_bounds(pods: int, seconds: float) -> None:
    assert improving_time(pods).total_seconds() == pytest.approx(seconds)
