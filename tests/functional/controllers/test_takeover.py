"""Nodes that a Karpenter made are taken over as they are, and what nodesmith makes a Karpenter would know for its own."""

from datetime import timedelta
from typing import Any, Final

import pytest

from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.api.kind import Kind, Manifest
from nodesmith.api.kinds import EC2_NODE_CLASS, NODE, NODE_CLAIM, NODE_POOL
from nodesmith.api.nodeclasshash import node_class_hash
from nodesmith.model.labels import (
    NODECLASS_HASH,
    NODECLASS_HASH_VERSION,
    NODEPOOL,
    NODEPOOL_HASH,
    NODEPOOL_HASH_VERSION,
)
from nodesmith.model.nodeclaim import DRIFTED
from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool

HOUR: Final = timedelta(hours=1)
HASH_OF_THE_POOL: Final = "6821555240594823858"
"""What Karpenter v1 annotates a NodePool with whose template has the class `default` and `expireAfter: 720h`."""

TERMINATION: Final = "karpenter.sh/termination"


def karpenters_annotations(hash_: str, version: str) -> dict[str, str]:
    """What a NodeClaim of Karpenter's carries, on AWS."""
    return {
        NODEPOOL_HASH: hash_,
        NODEPOOL_HASH_VERSION: version,
        "karpenter.k8s.aws/ec2nodeclass-hash": "12345678901234567890",
        "karpenter.k8s.aws/ec2nodeclass-hash-version": "v4",
        "karpenter.k8s.aws/tagged": "true",
    }


def disguise(world: SmallWorld, hash_: str, version: str) -> None:
    """The claims and nodes are as a Karpenter would have left them: nothing of ours is on them."""
    for claim in world.claims():
        ours = dict.fromkeys(claim.meta.annotations)
        patch = {"metadata": {"annotations": {**ours, **karpenters_annotations(hash_, version)}}}
        world.server.patch(NODE_CLAIM, claim.name, patch)
    for node in world.nodes():
        ours = {key: None for key in node.meta.annotations if "nodesmith" in key}
        world.server.patch(NODE, node.name, {"metadata": {"annotations": ours}})


def the_class(world: SmallWorld) -> EC2NodeClass:
    """The one EC2NodeClass."""
    (manifest,) = world.server.list(EC2_NODE_CLASS)
    return EC2_NODE_CLASS.decode(manifest)


async def settled(world: SmallWorld) -> None:
    """Two machines that are well used, and no controller."""
    world.apply(NODE_CLASS, node_pool())
    async with world.controlled():
        world.app("web", 12)
        await world.until(world.all_running)
        await world.pass_time(timedelta(minutes=10))


def shown(world: SmallWorld) -> list[Any]:
    """What makes claims, nodes and machines what they are."""
    claims = [
        (each.name, each.meta.uid, each.labels, each.meta.finalizers, each.provider_id) for each in world.claims()
    ]
    nodes = [(each.name, each.meta.uid, each.meta.labels, each.meta.finalizers, each.taints) for each in world.nodes()]
    return [claims, nodes, [each.machine.provider_id for each in world.machines()]]


@pytest.mark.parametrize("is_pool_kept", [True, False], ids=["", "and-the-pool-was-made-again"])
@pytest.mark.parametrize(
    ("hash_", "version"),
    [(HASH_OF_THE_POOL, "v3"), ("1111111111111111111", "v2"), ("2222222222222222222", "v1")],
    ids=["of-today", "of-the-version-before", "of-long-ago"],
)
def test_nothing_drifts_by_the_change_of_owner(hash_: str, version: str, *, is_pool_kept: bool) -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running():
            await settled(world)
            disguise(world, hash_, version)
            kept = {NODEPOOL_HASH: hash_, NODEPOOL_HASH_VERSION: version}
            pool_annotations = kept if is_pool_kept else dict.fromkeys(kept)
            world.server.patch(NODE_POOL, "default", {"metadata": {"annotations": pool_annotations}})
            before = shown(world)
            async with world.controlled():
                await world.pass_time(3 * HOUR)
                assert shown(world) == before, world.describe()
                assert not any(claim.has(DRIFTED) for claim in world.claims())
                for claim in world.claims():
                    annotations = claim.meta.annotations
                    assert (annotations[NODEPOOL_HASH], annotations[NODEPOOL_HASH_VERSION]) == (HASH_OF_THE_POOL, "v3")
                    assert annotations["karpenter.k8s.aws/tagged"] == "true"

    run(story)


def test_what_had_drifted_before_the_change_of_owner_still_has() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running():
            await settled(world)
            disguise(world, "1111111111111111111", "v3")
            before = {each.machine.provider_id for each in world.machines()}
            async with world.controlled():
                await world.until(lambda: not before & {each.machine.provider_id for each in world.machines()})
                await world.until(world.all_running)

    run(story)


def test_a_node_of_karpenters_leaves_in_order() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running():
            await settled(world)
            disguise(world, HASH_OF_THE_POOL, "v3")
            async with world.controlled():
                world.app("web", 0)
                await world.until(lambda: not world.claims() and not world.nodes() and not world.machines())

    run(story)


def test_a_karpenter_would_know_our_claims_for_its_own() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running():
            await settled(world)
            for claim in world.claims():
                assert claim.meta.finalizers == (TERMINATION,)
                assert [(each.kind, each.name) for each in claim.meta.owners] == [("NodePool", "default")]
                assert claim.meta.annotations[NODEPOOL_HASH] == HASH_OF_THE_POOL
                assert claim.meta.annotations[NODEPOOL_HASH_VERSION] == "v3"
            for node in world.nodes():
                assert TERMINATION in node.meta.finalizers
                assert node.labels["karpenter.sh/registered"] == node.labels["karpenter.sh/initialized"] == "true"
                assert [each.kind for each in node.meta.owners] == ["NodeClaim"]

    run(story)


@pytest.mark.parametrize(
    "old",
    [
        {NODECLASS_HASH: "12345678901234567890", NODECLASS_HASH_VERSION: "v4"},
        {NODECLASS_HASH: None, NODECLASS_HASH_VERSION: None},
    ],
    ids=["kept", "made-again"],
)
def test_a_class_of_another_hash_version_and_its_claims_are_brought_along(old: dict[str, str | None]) -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        async with world.running():
            await settled(world)
            disguise(world, HASH_OF_THE_POOL, "v3")
            world.server.patch(EC2_NODE_CLASS, "default", {"metadata": {"annotations": old}})
            before = shown(world)
            async with world.controlled():
                await world.pass_time(timedelta(minutes=3))
                node_class = the_class(world)
                for meta in (node_class.meta, *(claim.meta for claim in world.claims())):
                    annotations = meta.annotations
                    assert annotations[NODECLASS_HASH] == node_class_hash(node_class)
                    assert annotations[NODECLASS_HASH_VERSION] == "v5"
                assert shown(world) == before
                version = node_class.meta.resource_version
                await world.pass_time(timedelta(minutes=10))
                assert the_class(world).meta.resource_version == version

    run(story)


def versions_written(world: SmallWorld, monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], list[str]]:
    """From now on, the kinds of objects that are given a hash version, in order, by the version and whose hash it is."""
    order: dict[tuple[str, str], list[str]] = {}
    patch = world.server.patch
    owners = {each.name: each.pool_name for each in world.claims()}

    def noted(kind: Kind[Any], name: str, change: Manifest, **more: Any) -> Manifest:
        for key in (change.get("metadata") or {}).get("annotations") or ():
            if key in {NODEPOOL_HASH_VERSION, NODECLASS_HASH_VERSION}:
                order.setdefault((key, owners.get(name, name)), []).append(kind.name)
        return patch(kind, name, change, **more)

    monkeypatch.setattr(world.server, "patch", noted)
    return order


def test_each_claim_is_given_the_hashes_of_its_own_pool_and_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """And before these say that all is of today's version: whoever is killed in between begins anew."""

    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        own_class = {"nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "other"}}
        other = {**NODE_CLASS, "metadata": {"name": "other"}, "spec": {**NODE_CLASS["spec"], "role": "another"}}
        world.apply(NODE_CLASS, other, node_pool(), node_pool("other", template=own_class))
        names = ("default", "other")
        async with world.running():
            async with world.controlled():
                for name in names:
                    world.app(name, 2, spec={"nodeSelector": {NODEPOOL: name}})
                await world.until(world.all_running)
                await world.pass_time(timedelta(minutes=2))
            disguise(world, "1111111111111111111", "v2")
            for kind, key in ((NODE_POOL, NODEPOOL_HASH_VERSION), (EC2_NODE_CLASS, NODECLASS_HASH_VERSION)):
                for name in names:
                    world.server.patch(kind, name, {"metadata": {"annotations": {key: "v1"}}})
            order = versions_written(world, monkeypatch)
            async with world.controlled():
                await world.pass_time(timedelta(minutes=3))
            assert order == {(NODEPOOL_HASH_VERSION, name): ["NodeClaim", "NodePool"] for name in names} | {
                (NODECLASS_HASH_VERSION, name): ["NodeClaim", "EC2NodeClass"] for name in names
            }
            pools = {each.name: each.static_hash for each in map(NODE_POOL.decode, world.server.list(NODE_POOL))}
            classes = {
                each.name: node_class_hash(each)
                for each in map(EC2_NODE_CLASS.decode, world.server.list(EC2_NODE_CLASS))
            }
            assert len({*pools.values(), *classes.values()}) == 4
            found = {each.pool_name: each.meta.annotations for each in world.claims()}
            assert {name: each[NODEPOOL_HASH] for name, each in found.items()} == pools
            assert {name: each[NODECLASS_HASH] for name, each in found.items()} == classes

    run(story)
