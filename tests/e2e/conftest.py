"""Real control planes, started once for all tests that want them."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from nodesmith.adapters.clock import RealClock
from nodesmith.adapters.kubernetes import kubeconfig
from nodesmith.adapters.kubernetes.transport import Transport
from tests.e2e.calls import Ledger
from tests.e2e.controlplane import ControlPlane, running
from tests.e2e.stage import Stage, open_stage
from tools.controlplane import build


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What looks at everything that happened comes last."""
    items.sort(key=lambda item: item.path.name == "test_afterwards.py")


@pytest.fixture(scope="session")
def ledger() -> Ledger:
    """What the controllers of all tests asked of AWS."""
    return Ledger()


@pytest.fixture(autouse=True)
def _calls_are_kept(request: pytest.FixtureRequest, ledger: Ledger) -> Iterator[None]:
    """The box of the stage keeps the newest calls only."""
    stage: Stage | None = request.getfixturevalue("stage") if "stage" in request.fixturenames else None
    yield
    if stage is not None:
        ledger.add(stage.box.control, stage.names)


@pytest.fixture(scope="session")
def programs() -> Path:
    """The built programs."""
    folder = build.home()
    assert not build.missing(folder), "the control plane is not built: run `make e2e`"
    return folder / "bin"


@pytest.fixture(scope="session")
def bare_plane(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """An API server whose only controllers collect garbage and empty namespaces: nobody else writes to objects."""
    collectors = ("garbage-collector-controller", "namespace-controller")
    folder = tmp_path_factory.mktemp("bare")
    with running(ControlPlane(programs, folder, collectors, schedules=False, simulates_nodes=False)) as plane:
        yield plane


@pytest.fixture(scope="session")
def plane(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The whole control plane, with kwok for nodes and pods."""
    with running(ControlPlane(programs, tmp_path_factory.mktemp("plane"))) as plane:
        yield plane


@pytest.fixture
async def bare_transport(bare_plane: ControlPlane) -> AsyncIterator[Transport]:
    """The administrator's connection to the bare control plane."""
    async with Transport(kubeconfig.load([bare_plane.kubeconfig]), RealClock()) as transport:
        yield transport


@pytest.fixture(scope="session")
def stage(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A cluster with nodesmith installed, and running."""
    with open_stage(programs, tmp_path_factory.mktemp("stage")) as stage:
        stage.controller.start()
        stage.controller.wait_until_leading()
        yield stage
