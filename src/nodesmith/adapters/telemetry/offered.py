"""Numbers about instance types and their offerings, read off the catalog when Prometheus asks: they are many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from nodesmith.adapters.telemetry.catalog import BY_NAME
from nodesmith.adapters.telemetry.exposition import Family
from nodesmith.model.instancetype import InstanceType
from nodesmith.model.resources import CPU, MEMORY

Lists = Sequence[Sequence[InstanceType]]
_TYPE: Final = "cloudprovider_instance_type"


class OfferedCollector:
    """What `read` gives, as metrics: the lists of types of all pools. Where two lists differ, the last one counts."""

    def __init__(self, read: Callable[[], Lists]) -> None:
        self._read = read
        self._seen: Lists = ()

    def look(self) -> None:
        """The numbers are of now."""
        self._seen = self._read()

    def collect(self) -> Iterator[Family]:
        """The numbers of the last look."""
        types = {type_.name: type_ for listed in self._seen for type_ in listed}
        offerings = {
            (type_.name, offering.capacity_type, offering.zone): offering
            for listed in self._seen
            for type_ in listed
            for offering in type_.offerings
        }
        cores = (((name,), each.capacity.get(CPU, 0) / 1000) for name, each in types.items())
        memory = (((name,), float(each.capacity.get(MEMORY, 0))) for name, each in types.items())
        available = ((labels, float(each.is_available)) for labels, each in offerings.items())
        prices = ((labels, each.price.dollars) for labels, each in offerings.items() if each.price is not None)
        yield Family(BY_NAME[f"{_TYPE}_cpu_cores"], cores)
        yield Family(BY_NAME[f"{_TYPE}_memory_bytes"], memory)
        yield Family(BY_NAME[f"{_TYPE}_offering_available"], available)
        yield Family(BY_NAME[f"{_TYPE}_offering_price_estimate"], prices)
