"""Build and run the peer: Karpenter's own scheduler on the same input, where Go and the modules are to be had."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
PROGRAM: Final = HERE.parent.parent / "build" / "bench-peer"
LONGEST_BUILD_S: Final = 1200
LONGEST_RUN_S: Final = 600


@dataclass(frozen=True, slots=True)
class Answer:
    """What the peer made of an input."""

    seconds: float
    dollars: float
    nodes: int
    unplaced: int


def build() -> Path | None:
    """The program, built now where that is needed; None where it cannot be."""
    go = shutil.which("go")
    sources = [HERE / name for name in ("main.go", "go.mod", "go.sum")]
    if PROGRAM.exists() and all(PROGRAM.stat().st_mtime >= each.stat().st_mtime for each in sources):
        return PROGRAM
    if go is None:
        return None
    PROGRAM.parent.mkdir(exist_ok=True)
    command = ["nice", "-n", "10", go, "build", "-o", str(PROGRAM), "."]
    try:
        subprocess.run(command, cwd=HERE, check=True, capture_output=True, timeout=LONGEST_BUILD_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return None
    return PROGRAM


def run(program: Path, manifests: Path, catalog: Path) -> Answer | None:
    """What the peer makes of the input, or None when it gives up."""
    command = [str(program), str(manifests), str(catalog)]
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=LONGEST_RUN_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return None
    return Answer(**json.loads(done.stdout))
