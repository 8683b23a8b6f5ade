"""The doctor on a set-up that `install` made: all is well; then one thing after another is broken, and found."""

import pytest

from nodesmith.adapters.aws.client import SessionClients
from nodesmith.install.doctor.check import Outcome
from nodesmith.sim.aws.box import Box
from tests.functional.install.doctor_setup import Setup


@pytest.fixture
async def setup(box: Box, clients: SessionClients) -> Setup:
    box.reset()
    made = Setup(box, clients)
    await made.make()
    return made


async def test_all_is_well_with_what_install_made(setup: Setup) -> None:
    found = await setup.examine()
    assert {n: f.found for n, f in found.items() if f.outcome in {Outcome.FAILED, Outcome.WARNING}} == {}
