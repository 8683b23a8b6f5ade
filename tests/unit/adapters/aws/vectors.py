"""Recorded answers of the peer that this adapter must agree with, and how to read them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from nodesmith.model.quantity import parse_resource

DATA = Path(__file__).parents[3] / "data" / "aws"


@cache
def vectors(name: str) -> Any:
    return json.loads(gzip.decompress((DATA / f"{name}.json.gz").read_bytes()))


def amounts(raw: Mapping[str, str]) -> dict[str, int]:
    return {name: amount for name, text in raw.items() if (amount := parse_resource(name, text))}


def nonzero(amounts: Mapping[str, int]) -> dict[str, int]:
    return {name: amount for name, amount in amounts.items() if amount}
