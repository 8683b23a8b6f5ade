"""The workload controllers."""

from nodesmith.api.kinds import (
    DAEMON_SET,
    DEPLOYMENT,
    NODE,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    REPLICA_SET,
    STATEFUL_SET,
    STORAGE_CLASS,
)
from nodesmith.model.taints import Taint
from tests.unit.sim.world.bench import Bench, live, pod, storage_class, workload


def test_a_deployment_runs_its_replicas_and_can_be_scaled() -> None:
    async def story(bench: Bench) -> None:
        node = await bench.node("m7g.2xlarge")
        bench.world.apply(workload("Deployment", "web", replicas=5))
        await bench.rest()
        assert set(bench.places(app="web").values()) == {node}
        assert len(bench.places(app="web")) == 5
        bench.server.patch(DEPLOYMENT, "web", {"spec": {"replicas": 2}}, namespace="default")
        await bench.rest()
        assert len(bench.places(app="web")) == 2
        assert bench.find(DEPLOYMENT, "web")["status"]["readyReplicas"] == 2

    live(story)


def test_a_new_template_replaces_the_pods() -> None:
    async def story(bench: Bench) -> None:
        await bench.node("m7g.2xlarge")
        bench.world.apply(workload("Deployment", "web", replicas=2))
        await bench.rest()
        before = set(bench.places(app="web"))
        image = {"containers": [{"name": "main", "image": "example/app:2"}]}
        bench.server.patch(DEPLOYMENT, "web", {"spec": {"template": {"spec": image}}}, namespace="default")
        await bench.rest()
        assert len(bench.places(app="web")) == 2
        assert not before & set(bench.places(app="web"))

    live(story)


def test_a_pod_that_goes_is_made_again_at_once() -> None:
    async def story(bench: Bench) -> None:
        await bench.node()
        bench.world.apply(workload("Deployment", "web", replicas=1))
        await bench.rest()
        (name,) = bench.places(app="web")
        bench.server.delete(POD, name, namespace="default")
        bench.world.engine.settle()
        assert len(bench.places(app="web")) == 2
        await bench.rest()
        (other,) = bench.places(app="web")
        assert other != name

    live(story)


def test_what_a_deployment_made_goes_with_it() -> None:
    async def story(bench: Bench) -> None:
        await bench.node()
        bench.world.apply(workload("Deployment", "web", replicas=2))
        await bench.rest()
        bench.server.delete(DEPLOYMENT, "web", namespace="default")
        await bench.rest()
        assert bench.places(app="web") == {}
        assert bench.server.list(REPLICA_SET) == []

    live(story)


def test_pods_that_do_least_go_first() -> None:
    async def story(bench: Bench) -> None:
        node = await bench.node("m7g.large")
        bench.world.apply(workload("Deployment", "web", replicas=6))
        await bench.rest()
        waiting = {name for name, place in bench.places(app="web").items() if not place}
        assert waiting
        bench.server.patch(DEPLOYMENT, "web", {"spec": {"replicas": 6 - len(waiting)}}, namespace="default")
        await bench.rest()
        assert set(bench.places(app="web").values()) == {node}

    live(story)


def test_a_stateful_set_goes_in_order_and_keeps_its_volumes() -> None:
    async def story(bench: Bench) -> None:
        await bench.node("m7g.xlarge")
        bench.server.create(STORAGE_CLASS, storage_class("gp3"))
        claim = {"metadata": {"name": "data"}, "spec": {"storageClassName": "gp3"}}
        bench.world.apply(workload("StatefulSet", "db", replicas=2, volumeClaimTemplates=[claim]))
        bench.world.engine.settle()
        assert list(bench.places(app="db")) == ["db-0"]
        await bench.rest()
        assert list(bench.places(app="db")) == ["db-0", "db-1"]
        bench.server.patch(STATEFUL_SET, "db", {"spec": {"replicas": 1}}, namespace="default")
        await bench.rest()
        assert list(bench.places(app="db")) == ["db-0"]
        claims = {
            each["metadata"]["name"]: each["status"]["phase"] for each in bench.server.list(PERSISTENT_VOLUME_CLAIM)
        }
        assert claims == {"data-db-0": "Bound", "data-db-1": "Bound"}

    live(story)


def test_a_daemon_set_runs_once_on_each_node_that_it_may() -> None:
    async def story(bench: Bench) -> None:
        first = await bench.node(team="a")
        second = await bench.node(team="b")
        bench.world.apply(workload("DaemonSet", "agent", spec={"nodeSelector": {"team": "a"}}))
        bench.world.apply(workload("DaemonSet", "log", spec={"tolerations": [{"operator": "Exists"}]}))
        await bench.rest()
        assert list(bench.places(app="agent").values()) == [first]
        assert sorted(bench.places(app="log").values()) == sorted([first, second])
        bench.server.patch(NODE, first, {"metadata": {"labels": {"team": "b"}}})
        await bench.rest()
        assert bench.places(app="agent") == {}
        assert bench.find(DAEMON_SET, "agent")["status"]["desiredNumberScheduled"] == 0

    live(story)


def test_daemons_keep_off_nodes_whose_taints_they_do_not_tolerate() -> None:
    async def story(bench: Bench) -> None:
        await bench.machine(taints=(Taint("dedicated", "NoSchedule", "db"),))
        bench.world.apply(workload("DaemonSet", "agent"))
        bench.world.apply(workload("DaemonSet", "all", spec={"tolerations": [{"operator": "Exists"}]}))
        await bench.rest()
        assert bench.places(app="agent") == {}
        assert len(bench.places(app="all")) == 1

    live(story)


def test_a_lone_pod_runs_too() -> None:
    async def story(bench: Bench) -> None:
        node = await bench.node()
        bench.world.apply(pod("lone"))
        await bench.rest()
        assert bench.places() == {"lone": node}
        assert bench.find(POD, "lone")["status"]["phase"] == "Running"

    live(story)
