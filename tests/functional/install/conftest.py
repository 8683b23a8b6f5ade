"""One box for the tests of setting up; each test has its own account in it."""

from collections.abc import Iterator

import boto3
import pytest

from nodesmith.adapters.aws.client import SessionClients
from nodesmith.sim.aws.box import Box
from tests.functional.install.bench import REGION, Bench


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with Box(seed=5, region=REGION) as running:
        yield running


@pytest.fixture(scope="module")
def clients(box: Box) -> SessionClients:
    """Made once: each takes a tenth of a second or more."""
    session = boto3.session.Session("testing", "testing", region_name=REGION)
    return SessionClients(session, endpoint_url=box.url)


@pytest.fixture
def bench(box: Box, clients: SessionClients) -> Bench:
    box.reset()
    return Bench(box, clients)
