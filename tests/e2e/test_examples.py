"""Manifests that people have: the examples of Karpenter's own pages, typed by hand, and ours. A real API server takes all."""

from pathlib import Path

import pytest

from nodesmith.api.documents import read_documents
from nodesmith.api.validation import validate
from tests.e2e.controlplane import ControlPlane

ROOT = Path(__file__).parents[2]
UPSTREAM = sorted((Path(__file__).parent / "data" / "upstream").glob("*.yaml"))
OURS = sorted((ROOT / "examples").glob("*/*.yaml"))


@pytest.fixture(scope="module")
def with_crds(bare_plane: ControlPlane) -> ControlPlane:
    crds = ROOT / "charts" / "nodesmith" / "crds"
    for arguments in (
        ("apply", "--server-side", f"--filename={crds}"),
        ("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"),
    ):
        done = bare_plane.kubectl(*arguments)
        assert done.returncode == 0, done.stderr
    return bare_plane


@pytest.mark.parametrize("file", [*UPSTREAM, *OURS], ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_an_api_server_takes_it(with_crds: ControlPlane, file: Path) -> None:
    done = with_crds.kubectl("apply", "--dry-run=server", "--validate=strict", f"--filename={file}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("file", UPSTREAM, ids=lambda file: file.stem)
def test_lint_finds_no_error_in_it(file: Path) -> None:
    reading = read_documents(file.read_text("utf-8"), file.name)
    faults = [*reading.faults, *(fault for document in reading.documents for fault in validate(document))]
    assert [str(fault) for fault in faults if fault.severity == "error"] == []
