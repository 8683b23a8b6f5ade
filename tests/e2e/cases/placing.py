"""Pods pend, and the right machines come for them."""

import asyncio
from collections import Counter

from nodesmith.api.kinds import EC2_NODE_CLASS, NODE, NODE_CLAIM, NODE_POOL, PERSISTENT_VOLUME_CLAIM
from tests.e2e.mirror import is_true
from tests.e2e.stage import CLUSTER, ZONES
from tests.e2e.yard import Yard, needs

ZONE = "topology.kubernetes.io/zone"
TYPE = "node.kubernetes.io/instance-type"
HOSTNAME = "kubernetes.io/hostname"


def apart(key: str, app: str = "web") -> dict[str, object]:
    return {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}}


async def a_machine_is_known_by_its_tags_and_labels(yard: Yard) -> None:
    await yard.pool(template={"metadata": {"annotations": {"note": "for the team"}}})
    await yard.deployment(cpu="500m", memory="256Mi")
    [pod] = await yard.until_running(1)
    await yard.until(lambda: is_true(yard.claim(), "Initialized"))
    claim, node = yard.claim(), yard.node_of(pod)
    assert node["spec"]["providerID"] == claim["status"]["providerID"]
    assert node["metadata"]["annotations"]["note"] == "for the team"
    for label in ("karpenter.sh/registered", "karpenter.sh/initialized"):
        assert node["metadata"]["labels"][label] == "true"
    await yard.until(lambda: "karpenter.k8s.aws/tagged" in yard.claim()["metadata"]["annotations"])
    [instance] = await yard.instances()
    tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
    assert tags["Name"] == node["metadata"]["name"]
    assert tags["karpenter.sh/nodepool"] == yard.name
    assert tags["karpenter.sh/nodeclaim"] == claim["metadata"]["name"]
    assert tags["eks:eks-cluster-name"] == CLUSTER
    assert tags[f"kubernetes.io/cluster/{CLUSTER}"] == "owned"


async def a_pod_chooses_its_instance_type_and_terms(yard: Yard) -> None:
    await yard.pool()
    chosen = {TYPE: "c7g.xlarge", "karpenter.sh/capacity-type": "on-demand", ZONE: ZONES[1]}
    await yard.deployment(cpu="100m", pod={"nodeSelector": chosen})
    [pod] = await yard.until_running(1)
    assert chosen.items() <= yard.node_of(pod)["metadata"]["labels"].items()
    [instance] = await yard.instances()
    assert instance["InstanceType"] == "c7g.xlarge"
    assert "InstanceLifecycle" not in instance


async def each_architecture_has_its_machine(yard: Yard) -> None:
    await yard.pool(template={"spec": {"requirements": [needs("karpenter.k8s.aws/instance-category", "t", "m")]}})
    for arch in ("arm64", "amd64"):
        await yard.deployment(arch, cpu="200m", pod={"nodeSelector": {"kubernetes.io/arch": arch}})
    for pod in await yard.until_running(2):
        assert yard.node_of(pod)["metadata"]["labels"]["kubernetes.io/arch"] == pod["metadata"]["labels"]["app"]


async def numbers_are_compared(yard: Yard) -> None:
    await yard.pool(
        template={
            "spec": {
                "requirements": [
                    needs("kubernetes.io/arch", "arm64"),
                    needs("karpenter.k8s.aws/instance-category", "c", "m"),
                    needs("karpenter.k8s.aws/instance-cpu", "3", operator="Gt"),
                    needs("karpenter.k8s.aws/instance-cpu", "9", operator="Lt"),
                    needs("karpenter.k8s.aws/instance-generation", "6", operator="Gt"),
                ]
            }
        }
    )
    await yard.deployment(cpu="100m")
    [pod] = await yard.until_running(1)
    labels = yard.node_of(pod)["metadata"]["labels"]
    assert labels["karpenter.k8s.aws/instance-cpu"] in {"4", "8"}
    assert int(labels["karpenter.k8s.aws/instance-generation"]) > 6


async def taints_keep_off_who_does_not_tolerate(yard: Yard) -> None:
    await yard.pool(template={"spec": {"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]}})
    await yard.deployment("outside", cpu="100m")
    inside = {"tolerations": [{"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}]}
    await yard.deployment("inside", cpu="100m", pod=inside)
    await yard.until_running(1, "inside")
    await yard.until(lambda: yard.events("FailedScheduling"))
    assert len(yard.claims()) == 1
    assert not yard.running("outside")


async def startup_taints_are_waited_for(yard: Yard) -> None:
    await yard.pool(template={"spec": {"startupTaints": [{"key": "warming-up", "effect": "NoSchedule"}]}})
    await yard.deployment(cpu="100m")
    await yard.until(lambda: yard.claims() and is_true(yard.claim(), "Registered"))
    await yard.stays(lambda: not is_true(yard.claim(), "Initialized"), for_s=3)
    [name] = yard.nodes()
    await yard.until(lambda: [taint["key"] for taint in yard.nodes()[name]["spec"]["taints"]] == ["warming-up"])
    assert not is_true(yard.claim(), "Initialized")
    await yard.patch(NODE, name, {"spec": {"taints": None}})
    await yard.until_running(1)
    await yard.until(lambda: is_true(yard.claim(), "Initialized"))
    assert len(yard.claims()) == 1


async def the_heavier_pool_goes_first(yard: Yard) -> None:
    await yard.pool("light", weight=1)
    await yard.pool("heavy", weight=50, limits={"cpu": "2"})
    await yard.deployment("first", cpu="1")
    [pod] = await yard.until_running(1, "first")
    assert yard.node_of(pod)["metadata"]["labels"]["karpenter.sh/nodepool"] == f"{yard.name}-heavy"
    # Its limit is reached: the next goes to the other.
    await yard.deployment("second", cpu="1500m")
    [pod] = await yard.until_running(1, "second")
    assert yard.node_of(pod)["metadata"]["labels"]["karpenter.sh/nodepool"] == f"{yard.name}-light"


async def limits_hold_until_they_are_raised(yard: Yard) -> None:
    await yard.pool(limits={"cpu": "1"})
    await yard.deployment(cpu="1500m")
    await yard.until(lambda: yard.events("FailedScheduling"))
    await yard.stays(lambda: not yard.claims(), for_s=4)
    await yard.patch(NODE_POOL, yard.name, {"spec": {"limits": {"cpu": "8"}}})
    await yard.until_running(1)
    await yard.until(lambda: (yard.pool_status().get("resources") or {}).get("cpu") == "2")


async def room_is_used_before_it_is_bought(yard: Yard) -> None:
    await yard.pool(template={"spec": {"requirements": [needs(TYPE, "m7g.xlarge")]}})
    await yard.deployment("first", cpu="1")
    await yard.until_running(1, "first")
    await yard.deployment("second", replicas=2, cpu="1")
    await yard.until_running(2, "second")
    assert len(yard.claims()) == 1


async def daemons_have_their_room(yard: Yard) -> None:
    await yard.daemon_set("agent", cpu="500m", memory="256Mi")
    await yard.pool(template={"spec": {"requirements": [needs(TYPE, "m7g.large", "m7g.xlarge")]}})
    await yard.deployment("fits-alone", cpu="1600m")
    [pod] = await yard.until_running(1, "fits-alone")
    assert yard.node_of(pod)["metadata"]["labels"][TYPE] == "m7g.xlarge"
    await yard.until_running(1, "agent")


async def pods_spread_over_zones(yard: Yard) -> None:
    await yard.pool()
    spread = {"maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", **apart(ZONE)}
    await yard.deployment(replicas=6, cpu="700m", pod={"topologySpreadConstraints": [spread]})
    pods = await yard.until_running(6)
    zones = Counter(yard.node_of(pod)["metadata"]["labels"][ZONE] for pod in pods)
    assert zones == dict.fromkeys(ZONES, 2)


async def pods_spread_over_hosts(yard: Yard) -> None:
    await yard.pool()
    spread = {"maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", **apart(HOSTNAME)}
    await yard.deployment(replicas=3, cpu="100m", pod={"topologySpreadConstraints": [spread]})
    pods = await yard.until_running(3)
    assert len({pod["spec"]["nodeName"] for pod in pods}) == 3


async def enemies_have_a_node_each(yard: Yard) -> None:
    await yard.pool()
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart(HOSTNAME)]}}
    await yard.deployment(replicas=3, cpu="100m", pod={"affinity": affinity})
    pods = await yard.until_running(3)
    assert len({pod["spec"]["nodeName"] for pod in pods}) == 3


async def friends_meet_in_a_zone(yard: Yard) -> None:
    await yard.pool(template={"spec": {"requirements": [needs(TYPE, "t4g.medium")]}})
    await yard.deployment("leader", cpu="1500m", pod={"nodeSelector": {ZONE: ZONES[2]}})
    affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart(ZONE, "leader")]}}
    await yard.deployment("follower", replicas=2, cpu="1500m", pod={"affinity": affinity})
    await yard.until_running(1, "leader")
    pods = await yard.until_running(2, "follower")
    assert {yard.node_of(pod)["metadata"]["labels"][ZONE] for pod in pods} == {ZONES[2]}


async def host_ports_are_not_shared(yard: Yard) -> None:
    await yard.pool()
    container = {"name": "main", "image": "example/app:1", "ports": [{"containerPort": 80, "hostPort": 8080}]}
    await yard.deployment(replicas=2, pod={"containers": [container]})
    pods = await yard.until_running(2)
    assert len({pod["spec"]["nodeName"] for pod in pods}) == 2


async def what_fits_nowhere_is_told_why(yard: Yard) -> None:
    await yard.pool()
    await yard.deployment("huge", cpu="1000")
    await yard.deployment("elsewhere", cpu="100m", pod={"nodeSelector": {ZONE: "eu-west-1a"}})
    await yard.until(lambda: {each.partition("-")[0] for each in _told(yard)} == {"huge", "elsewhere"})
    assert not yard.claims()


def _told(yard: Yard) -> set[str]:
    """The pods about which nodesmith said that they fit nowhere."""
    return {
        event["involvedObject"]["name"]
        for event in yard.events("FailedScheduling")
        if event["source"].get("component") != "default-scheduler"
    }


async def a_claim_keeps_many_types(yard: Yard) -> None:
    await yard.pool(
        template={
            "spec": {
                "requirements": [
                    needs("kubernetes.io/arch", "arm64"),
                    needs("karpenter.k8s.aws/instance-category", "c", "m", "r"),
                    {**needs("karpenter.k8s.aws/instance-family", operator="Exists"), "minValues": 5},
                ]
            }
        }
    )
    await yard.deployment(cpu="100m")
    await yard.until_running(1)
    requirements = {each["key"]: each for each in yard.claim()["spec"]["requirements"]}
    types = requirements[TYPE]["values"]
    assert len({each.partition(".")[0] for each in types}) >= 5
    assert requirements["karpenter.k8s.aws/instance-family"]["minValues"] == 5


async def a_node_class_says_how_machines_are_made(yard: Yard) -> None:
    name = await yard.node_class(
        "small",
        kubelet={"maxPods": 12},
        tags={"team": "storage"},
        blockDeviceMappings=[
            {"deviceName": "/dev/xvda", "ebs": {"volumeSize": "50Gi", "volumeType": "gp3", "encrypted": True}}
        ],
        metadataOptions={"httpTokens": "required", "httpPutResponseHopLimit": 2},
    )
    await yard.pool(template={"spec": {"nodeClassRef": {"name": name}}})
    await yard.deployment(cpu="100m")
    [pod] = await yard.until_running(1)
    assert yard.node_of(pod)["status"]["capacity"]["pods"] == "12"
    [instance] = await yard.instances()
    assert {"Key": "team", "Value": "storage"} in instance["Tags"]
    assert instance["MetadataOptions"]["HttpPutResponseHopLimit"] == 2
    [mapping] = instance["BlockDeviceMappings"]
    volume = await asyncio.to_thread(
        lambda: yard.stage.aws("ec2").describe_volumes(VolumeIds=[mapping["Ebs"]["VolumeId"]])["Volumes"][0]
    )
    assert (volume["Size"], volume["VolumeType"], volume["Encrypted"]) == (50, "gp3", True)


async def what_was_set_aside_is_used_first(yard: Yard) -> None:
    """A capacity reservation, in a placement group; what the class is tagged with later, its profile is too."""
    ec2, control = yard.stage.aws("ec2"), yard.stage.box.control
    made = await asyncio.to_thread(
        lambda: ec2.create_capacity_reservation(
            InstanceType="m7g.large",
            InstancePlatform="Linux/UNIX",
            AvailabilityZone=ZONES[0],
            InstanceCount=1,
            InstanceMatchCriteria="targeted",
        )
    )
    reservation = made["CapacityReservation"]["CapacityReservationId"]
    group = await asyncio.to_thread(lambda: ec2.create_placement_group(GroupName=yard.name, Strategy="cluster"))
    aside = {"capacityReservationSelectorTerms": [{"id": reservation}], "placementGroupSelector": {"name": yard.name}}
    name = await yard.node_class("aside", **aside)
    terms = needs("karpenter.sh/capacity-type", "reserved", "on-demand")
    spec = {"nodeClassRef": {"name": name}, "requirements": [needs(TYPE, "m7g.large"), terms]}
    await yard.pool(template={"spec": spec})
    await yard.until(lambda: _condition(yard.pool_status(), "NodeClassReady") == "True")
    await yard.patch(EC2_NODE_CLASS, name, {"spec": {"tags": {"team": "search"}}})
    await yard.deployment(cpu="100m")
    [pod] = await yard.until_running(1)
    labels = yard.node_of(pod)["metadata"]["labels"]
    assert labels["karpenter.sh/capacity-type"] == "reserved"
    assert labels["karpenter.k8s.aws/capacity-reservation-id"] == reservation
    assert labels["karpenter.k8s.aws/placement-group-id"] == group["PlacementGroup"]["GroupId"]
    [instance] = await yard.instances()
    profile = instance["IamInstanceProfile"]["Arn"].rpartition("/")[2]
    tags = await asyncio.to_thread(
        lambda: yard.stage.aws("iam").get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]["Tags"]
    )
    assert {"Key": "team", "Value": "search"} in tags
    await yard.scale("web", 0)
    await yard.delete(NODE_POOL, yard.name)
    await yard.until(lambda: not yard.claims())
    await asyncio.to_thread(lambda: control.change_reservation(reservation, state="cancelled"))
    await asyncio.to_thread(lambda: ec2.delete_placement_group(GroupName=yard.name))


async def a_node_class_that_finds_nothing_makes_its_pool_wait(yard: Yard) -> None:
    nowhere = [{"tags": {"karpenter.sh/discovery": "nowhere"}}]
    name = await yard.node_class("lost", subnetSelectorTerms=nowhere)
    await yard.pool(template={"spec": {"nodeClassRef": {"name": name}}})
    await yard.deployment(cpu="100m")
    await yard.until(lambda: _condition(yard.pool_status(), "NodeClassReady") == "False")
    assert not yard.claims()
    found = [{"tags": {"karpenter.sh/discovery": CLUSTER}}]
    await yard.patch(EC2_NODE_CLASS, name, {"spec": {"subnetSelectorTerms": found}})
    await yard.until_running(1)


def _condition(status: object, type_: str) -> str:
    conditions = status.get("conditions", ()) if isinstance(status, dict) else ()
    return next((str(each["status"]) for each in conditions if each["type"] == type_), "")


async def a_volume_is_made_where_its_pod_goes(yard: Yard) -> None:
    await yard.storage_class()
    await yard.pool()
    await yard.volume("data")
    mounted = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}
    await yard.deployment(cpu="100m", pod={**mounted, "nodeSelector": {ZONE: ZONES[1]}})
    await yard.until_running(1)
    bound = yard.stage.mirror.get(PERSISTENT_VOLUME_CLAIM, f"{yard.name}/data")
    assert bound is not None
    assert bound["status"]["phase"] == "Bound"


async def a_pod_follows_its_volume(yard: Yard) -> None:
    """The volume was made in a zone; its pod comes back to that zone, whatever is cheaper elsewhere."""
    await yard.storage_class()
    await yard.pool()
    await yard.volume("data")
    mounted = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}
    await yard.deployment(cpu="100m", pod={**mounted, "nodeSelector": {ZONE: ZONES[2]}})
    await yard.until_running(1)
    old = set(yard.claims())
    await yard.scale("web", 0)
    for name in old:
        await yard.delete(NODE_CLAIM, name)
    await yard.until(lambda: not yard.claims())
    await yard.deployment("again", cpu="100m", pod=mounted)
    [pod] = await yard.until_running(1, "again")
    assert yard.node_of(pod)["metadata"]["labels"][ZONE] == ZONES[2]
