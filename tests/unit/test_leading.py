"""Leading as the controller process does it: from a loop of its own, over a connection of its own."""

import asyncio
import json
from datetime import timedelta

import pytest
from aiohttp import web

from nodesmith.adapters.apart import SharedEvent
from nodesmith.adapters.clock import RealClock
from nodesmith.adapters.kubernetes.cluster import KubernetesCluster
from nodesmith.adapters.kubernetes.kubeconfig import Connection
from nodesmith.adapters.kubernetes.lease import Elector, LeaseTerms
from nodesmith.adapters.kubernetes.transport import Transport
from nodesmith.app import LeadershipLostError, _leading
from nodesmith.ports.log import NoLog
from tests.unit.adapters.kubernetes.server import serving, status

QUICK = LeaseTerms(retry_every=timedelta(milliseconds=5))


def lease(holder: str, version: int) -> web.Response:
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 15}
    return web.json_response({"metadata": {"resourceVersion": str(version)}, "spec": spec})


async def test_the_lease_is_taken_and_given_back_at_the_end() -> None:
    holders: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return status(404)
        holders.append(json.loads(await request.read())["spec"]["holderIdentity"])
        return lease(holders[-1], len(holders))

    async with serving(answer) as server:
        transport = Transport(Connection(server.url), RealClock())
        elector = Elector(KubernetesCluster(transport), "me", RealClock(), NoLog(), QUICK, elected=SharedEvent())
        async with _leading(elector, transport) as elected:
            await elected.wait()
            assert elector.is_leading()
        assert not elector.is_leading()
    assert holders[0] == "me"
    assert holders[-1] == ""


async def test_a_lease_that_another_has_taken_ends_everything() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return lease("other", 2) if took else status(404)
        took.append(True)
        return lease("me", 1) if len(took) == 1 else status(409)

    took: list[bool] = []
    async with serving(answer) as server:
        transport = Transport(Connection(server.url), RealClock())
        elector = Elector(KubernetesCluster(transport), "me", RealClock(), NoLog(), QUICK, elected=SharedEvent())
        with pytest.RaisesGroup(LeadershipLostError):
            async with _leading(elector, transport):
                await asyncio.Event().wait()
        assert not elector.is_leading()
