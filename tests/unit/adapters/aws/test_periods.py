"""How long answers are believed, how often is looked, and how long calls wait for others: the peer's numbers (7.0)."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest

from nodesmith.adapters.aws import (
    batching,
    cluster,
    health,
    imagesource,
    network,
    offers,
    prices,
    profiles,
    queue,
    selection,
    templates,
    typestore,
    unavailable,
    upkeep,
    validation,
    zonalshift,
)
from nodesmith.adapters.aws.userdata import bootstrap
from nodesmith.controllers import garbage, instance_status, reservations, zonal_shift

SECOND: Final = timedelta(seconds=1)
MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)


@pytest.mark.parametrize(
    ("mine", "wanted"),
    [
        (network.TTL, MINUTE),
        (network.EXPIRING_BEFORE, 40 * MINUTE),
        (offers.RESERVATION_COUNT_TTL, DAY),
        (offers.SHAPES_KEPT_FOR, 5 * MINUTE),
        (imagesource.ALIAS_TTL, DAY),
        (imagesource.CUSTOM_PARAMETER_TTL, 5 * MINUTE),
        (typestore.REFRESHED_EVERY, 12 * HOUR),
        (typestore.MEMORY_KNOWN_FOR, 60 * DAY),
        (prices.REFRESHED_EVERY, 12 * HOUR),
        (unavailable.REMEMBERED_FOR, 3 * MINUTE),
        (profiles.KNOWN_FOR, 15 * MINUTE),
        (profiles.PROTECTED_FOR, HOUR),
        (upkeep.LOOKED_FOR_EVERY, 30 * MINUTE),
        (validation.KEPT_FOR, 30 * MINUTE),
        (templates.KEPT_FOR, MINUTE),
        (cluster.VERSION_TTL, 5 * MINUTE),
        (zonalshift.ASKED_EVERY, 30 * SECOND),
        (zonal_shift.EVERY, 30 * SECOND),
        (health.IMPAIRED_FOR, 120 * SECOND),
        (instance_status.EVERY, MINUTE),
        (reservations.EVERY, MINUTE),
        (garbage.EVERY, 2 * MINUTE),
        (garbage.AT_FIRST_EVERY, 10 * SECOND),
        (garbage.AT_FIRST_RUNS, 20),
        (batching.CREATE_FLEET_WINDOW, batching.Window(timedelta(milliseconds=35), SECOND, 1000)),
        (batching.BY_ID_WINDOW, batching.Window(timedelta(milliseconds=100), SECOND, 500)),
        ((queue.MESSAGES, queue.WAIT_S, queue.VISIBILITY_S), (10, 20, 20)),
        (selection.MOST_TYPES, 60),
        (bootstrap.LARGEST_BYTES, 16384),
    ],
)
def test_it_is_the_peers(mine: object, wanted: object) -> None:
    assert mine == wanted
