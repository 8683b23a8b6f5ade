"""Each queue message of the peer's record, through our parser and our controller: what it does to claims and offerings."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from nodesmith.adapters.aws.messages import parse_message
from nodesmith.api.kinds import NODE, NODE_CLAIM
from nodesmith.controllers.interruption import InterruptionService
from nodesmith.model.labels import CAPACITY_TYPE, INSTANCE_TYPE, NODEPOOL, RESERVATION_ID, ZONE
from nodesmith.ports.queue import Interruption
from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.smallworld import SmallWorld
from tests.unit.adapters.aws.vectors import vectors

RECORD = vectors("interruption")


class OneMessage:
    """A queue with one message in it."""

    def __init__(self, body: str) -> None:
        self._messages = [parse_message(body, "receipt")]
        self.deleted: list[str] = []

    async def receive(self) -> Sequence[Interruption]:
        return [self._messages.pop()]

    async def delete(self, receipts: Sequence[str]) -> None:
        self.deleted += receipts


async def at_once(_: str) -> None:
    """Nobody plans in these tests."""


def populate(world: SmallWorld) -> None:
    """The claims and nodes that the record starts from."""
    for each in RECORD["cluster"]:
        provider = f"aws:///{each['zone']}/{each['instanceID']}"
        labels = {CAPACITY_TYPE: each["capacityType"], INSTANCE_TYPE: each["instanceType"], ZONE: each["zone"]}
        labels[NODEPOOL] = "default"
        if "reservationID" in each:
            labels[RESERVATION_ID] = each["reservationID"]
        reference = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"}
        claim = {
            "metadata": {"name": each["nodeClaim"], "labels": labels, "finalizers": ["test/kept"]},
            "spec": {"nodeClassRef": reference, "requirements": []},
        }
        world.server.create(NODE_CLAIM, claim)
        world.server.patch(NODE_CLAIM, each["nodeClaim"], {"status": {"providerID": provider}}, subresource="status")
        if "node" in each:
            node = {"metadata": {"name": each["node"], "labels": labels}, "spec": {"providerID": provider}}
            world.server.create(NODE, node)


@pytest.mark.parametrize("case", RECORD["cases"], ids=[case["case"] for case in RECORD["cases"]])
def test_a_message_does_what_it_does_at_the_peer(case: dict[str, Any]) -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        populate(world)
        marked: list[str] = []

        def mark(*, instance_type: str, zone: str, capacity_type: str, reservation_id: str = "") -> None:
            marked.append("/".join(filter(None, (instance_type, zone, capacity_type, reservation_id))))

        setattr(world.cloud, "mark_unavailable", mark)  # noqa: B010 - a method of one object, for this test
        controllers = world.controllers()
        queue = OneMessage(case["body"])
        async with asyncio.TaskGroup() as group:
            watching = [group.create_task(each.run()) for each in controllers.watching.values()]
            await controllers.synced.wait()
            service = InterruptionService(controllers.fleet._shell, queue, replan=lambda _: None, replanned=at_once)
            await service.handle(await queue.receive())
            for task in watching:
                task.cancel()
        deleting = [claim.name for claim in world.claims() if claim.meta.is_deleting]
        assert sorted(deleting) == sorted(case.get("nodeClaimsDeleted") or [])
        assert sorted(marked) == sorted(case.get("markedUnavailable") or [])
        assert queue.deleted == (["receipt"] if case["queueMessageDeleted"] else [])
        told = {(event.reason, event.type, f"{event.about.kind}/{event.about.name}") for _, event in world.events.told}
        wanted = {(each["reason"], each["type"], each["object"].partition(".")[2]) for each in case.get("events") or []}
        assert told == wanted

    run(story)


def test_all_42_messages_are_tried() -> None:
    assert len(RECORD["cases"]) == 42
