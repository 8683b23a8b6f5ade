"""What of a crowd's waiting is nodesmith's: when pods waited for it, by its log, and what it used of a core meanwhile.

Processor time and not wall time, since all programs of the stage share the machine's cores.
"""

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Self

LOOK_EVERY_S: Final = 0.02
PLANNED: Final = "planned, claims made"

Line = Mapping[str, Any]


@dataclass(frozen=True)
class Span:
    """Time in which pods waited for nodesmith, and the processor time that it used then."""

    name: str
    took_s: float
    used_s: float


def cpu_s(pid: int) -> float:
    """The processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def now_s() -> float:
    """The time of day, to be held against a log's."""
    return datetime.now(tz=UTC).timestamp()  # noqa: TID251 - another process's log is read by it


class Meter:
    """The processor time of a process, looked at again and again from a thread."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="meter", daemon=True)
        self._samples = [(now_s(), cpu_s(pid))]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(LOOK_EVERY_S):
            self._samples.append((now_s(), cpu_s(self._pid)))

    @property
    def began(self) -> float:
        """Since when it looks."""
        return self._samples[0][0]

    def used(self, start: float, end: float) -> float:
        """Seconds of a core between two moments."""
        return self._at(end) - self._at(start)

    def _at(self, moment: float) -> float:
        return next((cpu for at, cpu in self._samples if at >= moment), self._samples[-1][1])


def spans(lines: Iterable[Line], meter: Meter, joined: Mapping[str, float]) -> list[Span]:
    """How long pods waited for nodesmith: from the pods that it found to the last claim that it made for them, from
    there to the last launch, and from the first node that joined to the last that it opened; of all plans together.
    The parts of two plans may overlap: what is used then counts for both.
    """
    told = [each for each in lines if "time" in each and _at(each) >= meter.began]
    starts = [_at(each) for each in told if each["message"] == "found provisionable pod(s)"]
    parts: dict[str, list[tuple[float, float]]] = {PLANNED: [], "launched": [], "registered": []}
    for start, end in pairwise([*starts, float("inf")]):
        made = {each["NodeClaim"]: _at(each) for each in _said(told, "created nodeclaim") if start <= _at(each) < end}
        launched = [_at(each) for each in _said(told, "launched nodeclaim") if each["NodeClaim"] in made]
        opened = [each for each in _said(told, "registered nodeclaim") if each["NodeClaim"] in made]
        if not made:
            continue
        parts[PLANNED].append((start, max(made.values())))
        parts["launched"].append((max(made.values()), max(launched)))
        first = min(joined.get(each["Node"], _at(each)) for each in opened)
        parts["registered"].append((first, max(_at(each) for each in opened)))
    return [
        Span(name, sum(end - start for start, end in each), sum(meter.used(*span) for span in each))
        for name, each in parts.items()
    ]


def _said(lines: Sequence[Line], message: str) -> list[Line]:
    return [each for each in lines if each["message"] == message]


def _at(line: Line) -> float:
    return datetime.fromisoformat(line["time"]).timestamp()
