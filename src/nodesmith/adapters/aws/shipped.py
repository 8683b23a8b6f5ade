"""Instance types and prices that ship with the program, for deciding on manifests without asking an account.

They are those of one region, us-west-2, at one moment: good for comparing plans, not for a bill.
"""

from __future__ import annotations

import gzip
from functools import cache
from importlib import resources
from typing import Final

from nodesmith.api.catalog import parse_catalog
from nodesmith.model.instancetype import InstanceType

_FILE: Final = "data/catalog.json.gz"


@cache
def shipped_types() -> tuple[InstanceType, ...]:
    """The instance types with their offerings."""
    packed = resources.files("nodesmith.adapters.aws").joinpath(_FILE).read_bytes()
    return parse_catalog(gzip.decompress(packed).decode(), _FILE)
