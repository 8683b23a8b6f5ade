"""kube-scheduler's stand-in."""

from collections import Counter
from typing import Any

from nodesmith.api.kinds import NODE, PERSISTENT_VOLUME_CLAIM, POD, STORAGE_CLASS, VOLUME_ATTACHMENT
from nodesmith.model.labels import ZONE
from tests.unit.sim.world.bench import Bench, container, live, pod, storage_class, workload

A, B = "ap-northeast-2a", "ap-northeast-2b"


def why(bench: Bench, name: str) -> str:
    conditions = bench.find(POD, name)["status"]["conditions"]
    scheduled = next(each for each in conditions if each["type"] == "PodScheduled")
    assert (scheduled["status"], scheduled["reason"]) == ("False", "Unschedulable")
    return str(scheduled["message"])


def company(key: str, *, topology: str = ZONE) -> dict[str, Any]:
    term = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": topology}
    return {"affinity": {key: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}


def test_a_pod_that_fits_nowhere_says_why() -> None:
    async def story(bench: Bench) -> None:
        bench.world.apply(pod("none"))
        bench.world.engine.settle()
        assert why(bench, "none") == "no nodes available to schedule pods"
        await bench.node()
        bench.world.apply(
            pod("large", containers=[container(cpu="64")]),
            pod("fussy", nodeSelector={"disk": "ssd"}),
        )
        bench.world.engine.settle()
        assert why(bench, "large") == "0/1 nodes are available: 1 Insufficient cpu."
        assert "didn't match Pod's node affinity/selector" in why(bench, "fussy")

    live(story)


def test_a_waiting_pod_is_bound_when_a_node_comes() -> None:
    async def story(bench: Bench) -> None:
        bench.world.apply(pod("early"))
        node = await bench.node()
        await bench.rest()
        assert bench.places() == {"early": node}

    live(story)


def test_pods_go_where_there_is_most_room() -> None:
    async def story(bench: Bench) -> None:
        nodes = [await bench.node(), await bench.node()]
        bench.world.apply(*(pod(f"p{number}") for number in range(4)))
        await bench.rest()
        assert Counter(bench.places().values()) == Counter({nodes[0]: 2, nodes[1]: 2})

    live(story)


def test_taints_and_cordons_keep_pods_off() -> None:
    async def story(bench: Bench) -> None:
        node = await bench.node()
        taint = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}
        bench.server.patch(NODE, node, {"spec": {"taints": [taint]}})
        bench.world.apply(pod("plain"), pod("db", tolerations=[{"key": "dedicated", "operator": "Exists"}]))
        await bench.rest()
        assert bench.places() == {"plain": "", "db": node}
        assert "untolerated taint {dedicated: db}" in why(bench, "plain")
        bench.server.patch(NODE, node, {"spec": {"taints": None, "unschedulable": True}})
        bench.world.apply(pod("other"))
        await bench.rest()
        assert why(bench, "other").endswith("1 node(s) were unschedulable.")
        assert "untolerated taint" in why(bench, "plain")
        await bench.rest(300)
        assert why(bench, "plain").endswith("1 node(s) were unschedulable.")

    live(story)


def test_a_host_port_is_had_once() -> None:
    async def story(bench: Bench) -> None:
        await bench.node()
        port: dict[str, Any] = {"containers": [container(ports=[{"containerPort": 80, "hostPort": 80}])]}
        bench.world.apply(pod("a", **port), pod("b", **port))
        await bench.rest()
        assert sorted(bool(place) for place in bench.places().values()) == [False, True]

    live(story)


def test_spread_is_kept_even() -> None:
    async def story(bench: Bench) -> None:
        nodes = {await bench.node(zone=A): A, await bench.node("m7g.4xlarge", zone=B): B}
        constraint = {
            "maxSkew": 1,
            "topologyKey": ZONE,
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "web"}},
        }
        spec = {"topologySpreadConstraints": [constraint]}
        bench.world.apply(workload("Deployment", "web", replicas=9, spec=spec))
        await bench.rest()
        zones = Counter(nodes[place] for place in bench.places(app="web").values() if place)
        assert zones[A] >= 1
        assert abs(zones[A] - zones[B]) <= 1
        assert sum(zones.values()) < 9

    live(story)


def test_affinity_seeks_and_anti_affinity_shuns() -> None:
    async def story(bench: Bench) -> None:
        in_a, in_b = await bench.node(zone=A), await bench.node(zone=B)
        bench.world.apply(pod("web", {"app": "web"}, nodeSelector={ZONE: A}))
        await bench.rest()
        bench.world.apply(pod("near", **company("podAffinity")), pod("far", **company("podAntiAffinity")))
        await bench.rest()
        assert bench.places() == {"web": in_a, "near": in_a, "far": in_b}

    live(story)


def test_the_first_of_a_group_that_seeks_its_own_is_let_in() -> None:
    async def story(bench: Bench) -> None:
        await bench.node(zone=A)
        await bench.node(zone=B)
        bench.world.apply(*(pod(f"web-{n}", {"app": "web"}, **company("podAffinity")) for n in range(2)))
        await bench.rest()
        assert len(set(bench.places().values())) == 1

    live(story)


def test_anti_affinity_of_those_who_are_there_counts_too() -> None:
    async def story(bench: Bench) -> None:
        await bench.node(zone=A)
        bench.world.apply(pod("loner", **company("podAntiAffinity")))
        await bench.rest()
        bench.world.apply(pod("web", {"app": "web"}))
        await bench.rest()
        assert "existing pods anti-affinity" in why(bench, "web")

    live(story)


def test_gated_pods_are_not_scheduled() -> None:
    async def story(bench: Bench) -> None:
        await bench.node()
        bench.world.apply(pod("gated", schedulingGates=[{"name": "wait"}]))
        await bench.rest()
        condition = bench.find(POD, "gated")["status"]["conditions"][0]
        assert (condition["type"], condition["reason"]) == ("PodScheduled", "SchedulingGated")

    live(story)


def nominate(bench: Bench, name: str, node: str) -> None:
    bench.server.patch(POD, name, {"status": {"nominatedNodeName": node}}, namespace="default", subresource="status")


def test_a_nominated_node_is_tried_first_and_kept_from_those_no_more_important() -> None:
    async def story(bench: Bench) -> None:
        bench.world.apply(pod("kept", containers=[container(cpu="1500m")]))
        bench.world.engine.settle()
        small = await bench.machine()
        await bench.rest()
        (name,) = [each["metadata"]["name"] for each in bench.server.list(NODE)]
        nominate(bench, "kept", name)
        await bench.node("m7g.4xlarge")
        bench.admit(name)
        await bench.rest()
        assert small.provider_id
        assert bench.places()["kept"] == name

    live(story)


def test_the_room_of_a_nominated_pod_is_not_given_away() -> None:
    async def story(bench: Bench) -> None:
        node = await bench.node()
        bench.world.apply(pod("kept", containers=[container(cpu="1500m")], nodeSelector={"disk": "ssd"}))
        bench.world.engine.settle()
        nominate(bench, "kept", node)
        bench.world.apply(pod("other", containers=[container(cpu="1")]))
        bench.world.apply(pod("urgent", containers=[container(cpu="1")], priorityClassName="system-cluster-critical"))
        await bench.rest()
        assert bench.places() == {"kept": "", "other": "", "urgent": node}

    live(story)


def test_an_attempt_that_fails_takes_the_nomination_away() -> None:
    async def story(bench: Bench) -> None:
        node = await bench.node()
        bench.world.apply(pod("kept", containers=[container(cpu="64")]))
        bench.world.engine.settle()
        nominate(bench, "kept", node)
        assert bench.find(POD, "kept")["status"]["nominatedNodeName"] == node
        await bench.rest(400)
        assert "nominatedNodeName" not in bench.find(POD, "kept")["status"]

    live(story)


def test_a_volume_is_made_where_its_pod_goes_and_ties_it_there() -> None:
    async def story(bench: Bench) -> None:
        in_a = await bench.node(zone=A)
        in_b = await bench.node(zone=B)
        bench.server.create(STORAGE_CLASS, storage_class("gp3"))
        bench.server.create(
            PERSISTENT_VOLUME_CLAIM, {"metadata": {"name": "data"}, "spec": {"storageClassName": "gp3"}}
        )
        volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
        bench.world.apply(pod("db", volumes=volumes, nodeSelector={ZONE: A}))
        await bench.rest()
        assert bench.places() == {"db": in_a}
        assert [each["spec"]["nodeName"] for each in bench.server.list(VOLUME_ATTACHMENT)] == [in_a]
        bench.server.delete(POD, "db", namespace="default")
        await bench.rest()
        assert bench.server.list(VOLUME_ATTACHMENT) == []
        bench.server.patch(NODE, in_a, {"spec": {"unschedulable": True}})
        bench.world.apply(pod("db-again", volumes=volumes))
        await bench.rest()
        assert bench.places() == {"db-again": ""}
        assert "volume node affinity conflict" in why(bench, "db-again")
        assert in_b

    live(story)


def test_a_claim_that_nobody_made_keeps_its_pod_waiting() -> None:
    async def story(bench: Bench) -> None:
        await bench.node()
        bench.world.apply(pod("db", volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "missing"}}]))
        bench.world.engine.settle()
        assert "persistentvolumeclaim not found" in why(bench, "db")

    live(story)


def test_ephemeral_volumes_come_and_go_with_their_pod() -> None:
    async def story(bench: Bench) -> None:
        await bench.node()
        bench.server.create(STORAGE_CLASS, storage_class("gp3"))
        template = {"spec": {"storageClassName": "gp3"}}
        bench.world.apply(pod("p", volumes=[{"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}}]))
        await bench.rest()
        assert [each["metadata"]["name"] for each in bench.server.list(PERSISTENT_VOLUME_CLAIM)] == ["p-scratch"]
        assert bench.find(POD, "p")["status"]["phase"] == "Running"
        bench.server.delete(POD, "p", namespace="default")
        await bench.rest()
        assert bench.server.list(PERSISTENT_VOLUME_CLAIM) == []

    live(story)
