"""Nodes on their way out: who holds them is named, evictions slow down, protections end (spec 4.6 to 4.8)."""

from datetime import timedelta

from nodesmith.api.kinds import NODE_CLAIM, VOLUME_ATTACHMENT
from nodesmith.model.labels import DO_NOT_DISRUPT
from nodesmith.model.nodeclaim import DRAINED, VOLUMES_DETACHED
from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool
from tests.functional.disruption.scenes import MINUTE, told


def test_a_claim_that_cannot_go_names_who_holds_it() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled():
            world.app("web", 1)
            world.budget("web", min_available=1)
            world.app("pinned", 1, annotations={DO_NOT_DISRUPT: "true"})
            world.app("free", 1)
            await world.until(world.all_running)
            (web,), (pinned,) = world.pods("web"), world.pods("pinned")
            world.server.delete(NODE_CLAIM, world.claims()[0].name)
            await world.pass_time(2 * MINUTE)
            leaving = min(world.claims(), key=lambda claim: claim.meta.created_at)
            drained = leaving.condition(DRAINED)
            assert drained is not None
            assert (drained.status, drained.reason) == ("Unknown", "Draining")
            assert drained.message == (
                f"waits for pod {pinned.key} (annotated karpenter.sh/do-not-disrupt), "
                f"pod {web.key} (PodDisruptionBudget web lets no pod go)"
            )

    run(story)


def test_a_claim_that_waits_for_a_volume_names_it() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool(template={"terminationGracePeriod": "4m"}))
        async with world.running(), world.controlled():
            world.app("web", 1)
            await world.until(world.all_running)
            (node,), (claim,) = world.nodes(), world.claims()
            spec = {"attacher": "ebs.csi.aws.com", "nodeName": node.name, "source": {"persistentVolumeName": "pv-1"}}
            world.server.create(VOLUME_ATTACHMENT, {"metadata": {"name": "csi-1"}, "spec": spec})
            world.server.delete(NODE_CLAIM, claim.name)
            await world.pass_time(MINUTE)
            leaving = next(each for each in world.claims() if each.name == claim.name)
            waiting = leaving.condition(VOLUMES_DETACHED)
            assert waiting is not None
            assert waiting.reason == "AwaitingVolumeDetachment"
            assert waiting.message == "waits for volume pv-1 (csi-1 is still attached)"
            took = await world.until(lambda: claim.name not in {each.name for each in world.claims()})
            assert took > 2 * MINUTE, "by the end of the grace period it goes all the same"

    run(story)


def test_a_pod_that_may_not_be_evicted_is_asked_ever_more_slowly() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled():
            world.app("web", 1)
            world.budget("web", min_available=1)
            await world.until(world.all_running)
            world.server.delete(NODE_CLAIM, world.claims()[0].name)
            refused = "pods_eviction_requests_total"
            await world.pass_time(10 * timedelta(seconds=1))
            first = world.metrics.total(refused, code="429")
            assert first >= 6, "at first after tenths of a second"
            await world.pass_time(5 * MINUTE)
            later = world.metrics.total(refused, code="429") - first
            assert 28 <= later <= 60, "then every five to ten seconds"
            assert any("evicting pod violates a PDB" in event.message for event in told(world, "FailedDraining", "Pod"))

    run(story)


def test_a_protection_with_a_time_ends_and_is_told_of() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled():
            world.app("web", 1, annotations={DO_NOT_DISRUPT: "10m"})
            await world.until(world.all_running)
            (claim,), (pod,) = world.claims(), world.pods()
            world.server.delete(NODE_CLAIM, claim.name)
            await world.pass_time(5 * MINUTE)
            assert world.pods("web")[0].meta.uid == pod.meta.uid
            assert told(world, "DoNotDisruptUntil", "Pod")
            await world.until(lambda: claim.name not in {each.name for each in world.claims()})
            started = pod.started_at
            assert started is not None
            assert timedelta(minutes=10) <= clock.now() - started < timedelta(minutes=12)

    run(story)


def test_an_annotation_that_means_nothing_protects_nobody_and_is_told_of() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled():
            world.app("web", 1, annotations={DO_NOT_DISRUPT: "false"})
            await world.until(world.all_running)
            (claim,) = world.claims()
            world.server.delete(NODE_CLAIM, claim.name)
            await world.until(lambda: claim.name not in {each.name for each in world.claims()}, within=2 * MINUTE)
            (event, *_) = told(world, "InvalidDoNotDisruptAnnotation", "Pod")
            assert event.message.startswith("Invalid karpenter.sh/do-not-disrupt annotation: ")

    run(story)
