"""Scenarios as folders of gzipped JSON, which `nodesmith plan -f FOLDER --catalog FOLDER/catalog.json.gz` reads.

The one thing to know: the folder may be memory (the chart's `/tmp` is), so few are kept, and none that is too large.
"""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from nodesmith.ports.scenarios import ScenarioNotKept

LARGEST: Final = 4 * 2**20
"""Bytes of a scenario, all its files compressed."""


@dataclass(frozen=True, slots=True)
class FolderScenarios:
    """Scenarios below `folder`, the last `kept` by name: names are to grow with time."""

    folder: Path
    kept: int = 3

    def keep(self, name: str, files: Mapping[str, Mapping[str, Any]], /) -> str:
        """The documents are in a folder of that name, gzipped; returns its path.

        Raises:
            ScenarioNotKept: when they could not be written.
        """
        packed = {each: gzip.compress(msgspec.json.encode(document), mtime=0) for each, document in files.items()}
        size = sum(map(len, packed.values()))
        if size > LARGEST:
            raise ScenarioNotKept(f"the scenario has {size} bytes, more than the {LARGEST} that are kept")
        place = self.folder / name
        try:
            place.mkdir(parents=True, exist_ok=True)
            for each, content in packed.items():
                (place / f"{each}.gz").write_bytes(content)
            for old in sorted(path for path in self.folder.iterdir() if path.is_dir())[: -self.kept]:
                shutil.rmtree(old)
        except OSError as error:
            raise ScenarioNotKept(f"{place}: {error.strerror or error}") from error
        return str(place)
