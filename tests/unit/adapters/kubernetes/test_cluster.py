import json
import random
from datetime import timedelta

import pytest
from aiohttp import web

from nodesmith.adapters.kubernetes.cluster import SILENCE_S, KubernetesCluster, NotLeading
from nodesmith.adapters.kubernetes.kubeconfig import Connection
from nodesmith.adapters.kubernetes.transport import Limits, Transport
from nodesmith.api.kinds import CONFIG_MAP
from nodesmith.ports.cluster import ChangeType
from nodesmith.ports.errors import Expired
from tests.unit.adapters.kubernetes.manual import InstantClock
from tests.unit.adapters.kubernetes.server import answers, serving, status


def page(names: list[str], more: str = "") -> web.Response:
    items = [{"metadata": {"name": name}} for name in names]
    return web.json_response({"metadata": {"resourceVersion": "9", "continue": more}, "items": items})


def cluster_on(transport: Transport) -> KubernetesCluster:
    return KubernetesCluster(transport, chance=random.Random(1))


async def test_a_list_is_read_page_by_page() -> None:
    async with serving(answers(lambda: page(["a", "b"], "next"), lambda: page(["c"]))) as server:
        async with Transport(Connection(server.url), InstantClock()) as transport:
            listing = await cluster_on(transport).list(CONFIG_MAP)
        assert [item["metadata"]["name"] for item in listing.items] == ["a", "b", "c"]
        assert listing.resource_version == "9"
        assert server.asked[1].endswith("limit=500&continue=next")


@pytest.mark.parametrize(("minor", "wanted"), [("35", "1.35"), ("31+", "1.31")])
async def test_the_servers_version_is_its_minor_version(minor: str, wanted: str) -> None:
    async with serving(answers(lambda: web.json_response({"major": "1", "minor": minor}))) as server:
        async with Transport(Connection(server.url), InstantClock()) as transport:
            assert await cluster_on(transport).version() == wanted
        assert server.asked == ["GET /version"]


async def test_pages_that_expire_on_the_way_are_read_in_one_piece() -> None:
    replies = answers(lambda: page(["a"], "next"), lambda: status(410, "Expired"), lambda: page(["a", "b"]))
    async with serving(replies) as server:
        async with Transport(Connection(server.url), InstantClock()) as transport:
            listing = await cluster_on(transport).list(CONFIG_MAP)
        assert len(listing.items) == 2
        assert server.asked[2] == "GET /api/v1/configmaps"


async def test_a_watch_gives_changes_until_the_server_ends_it() -> None:
    events = [
        {"type": "ADDED", "object": {"metadata": {"name": "a", "resourceVersion": "10"}}},
        {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "12"}}},
    ]
    body = "".join(json.dumps(event) + "\n" for event in events)
    async with serving(answers(lambda: web.Response(text=body))) as server:
        async with Transport(Connection(server.url), InstantClock()) as transport:
            changes = [change async for change in cluster_on(transport).watch(CONFIG_MAP, since="9")]
        assert [(c.type, c.resource_version) for c in changes] == [
            (ChangeType.ADDED, "10"),
            (ChangeType.BOOKMARK, "12"),
        ]
        assert "resourceVersion=9" in server.asked[0]


async def test_watches_end_at_different_times_and_silence_is_longer_than_bookmarks_are_apart() -> None:
    """The API server sends a bookmark a minute; a watch that is silent for more than two has lost its server."""
    async with (
        serving(answers(lambda: web.Response(text=""))) as server,
        Transport(Connection(server.url), InstantClock()) as transport,
    ):
        cluster = cluster_on(transport)
        for _ in range(5):
            assert [change async for change in cluster.watch(CONFIG_MAP, since="9")] == []
    seconds = {int(line.rpartition("timeoutSeconds=")[2]) for line in server.asked}
    assert len(seconds) > 1
    assert all(300 <= each <= 600 for each in seconds)
    assert 120 <= SILENCE_S <= 180


async def test_a_watch_that_is_too_old() -> None:
    async with (
        serving(answers(lambda: status(410, "Expired"))) as server,
        Transport(Connection(server.url), InstantClock()) as transport,
    ):
        with pytest.raises(Expired):
            await anext(cluster_on(transport).watch(CONFIG_MAP, since="1"))


async def test_who_does_not_lead_writes_nothing() -> None:
    leads = True
    async with serving(answers(lambda: page([]))) as server:
        async with Transport(Connection(server.url), InstantClock()) as transport:
            cluster = KubernetesCluster(transport, may_write=lambda: leads)
            await cluster.delete(CONFIG_MAP, "a", namespace="n")
            leads = False
            for write in (
                cluster.create(CONFIG_MAP, {}),
                cluster.patch(CONFIG_MAP, "a", {}, namespace="n"),
                cluster.json_patch(CONFIG_MAP, "a", [], namespace="n"),
                cluster.apply(CONFIG_MAP, "a", {}),
                cluster.delete(CONFIG_MAP, "a", namespace="n"),
                cluster.evict("a", namespace="n", uid="u"),
            ):
                with pytest.raises(NotLeading):
                    await write
            await cluster.list(CONFIG_MAP)
        assert [line.split()[0] for line in server.asked] == ["DELETE", "GET"]


class Deposing(InstantClock):
    """Whoever waits is not the leader any more when he has waited."""

    is_leading = True

    async def sleep(self, duration: timedelta) -> None:
        await super().sleep(duration)
        self.is_leading = False


async def test_a_write_that_waits_for_its_turn_is_not_sent_by_who_was_deposed_meanwhile() -> None:
    clock, limits = Deposing(), Limits(per_second=1, burst=1)
    async with serving(answers(lambda: page([]))) as server:
        async with Transport(Connection(server.url), clock, limits) as transport:
            cluster = KubernetesCluster(transport, may_write=lambda: clock.is_leading)
            await cluster.list(CONFIG_MAP)
            with pytest.raises(NotLeading):
                await cluster.delete(CONFIG_MAP, "a", namespace="n")
        assert [line.split()[0] for line in server.asked] == ["GET"]


async def test_a_write_that_was_put_off_is_not_sent_again_by_who_was_deposed_meanwhile() -> None:
    clock = Deposing()
    async with serving(answers(lambda: status(429, "TooManyRequests"), lambda: page([]))) as server:
        async with Transport(Connection(server.url), clock) as transport:
            cluster = KubernetesCluster(transport, may_write=lambda: clock.is_leading)
            with pytest.raises(NotLeading):
                await cluster.delete(CONFIG_MAP, "a", namespace="n")
        assert len(server.asked) == 1
