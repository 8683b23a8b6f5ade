"""Scenarios in a folder: few, none too large, and never a reason to stop."""

import gzip
import json
from pathlib import Path

import pytest

from nodesmith.adapters import scenarios
from nodesmith.adapters.scenarios import FolderScenarios
from nodesmith.ports.scenarios import ScenarioNotKept


def test_documents_are_gzipped_json_in_a_folder_of_the_name(tmp_path: Path) -> None:
    place = FolderScenarios(tmp_path / "new").keep("first", {"objects.json": {"kind": "List"}})
    assert json.loads(gzip.decompress((Path(place) / "objects.json.gz").read_bytes())) == {"kind": "List"}


def test_the_oldest_go_when_new_ones_come(tmp_path: Path) -> None:
    folder = FolderScenarios(tmp_path, kept=2)
    for name in ("20260101", "20260102", "20260103"):
        folder.keep(name, {"a.json": {}})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["20260102", "20260103"]


def test_one_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenarios, "LARGEST", 10)
    with pytest.raises(ScenarioNotKept, match="more than the 10"):
        FolderScenarios(tmp_path).keep("large", {"a.json": {"text": "x" * 100}})
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ScenarioNotKept, match="file"):
        FolderScenarios(tmp_path / "file").keep("any", {"a.json": {}})
