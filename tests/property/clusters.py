"""Random small clusters with pods to place: pools, types, nodes, daemons, and every kind of rule now and then."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from nodesmith.decide.schedule.overlays import overlaid
from nodesmith.decide.schedule.problem import MinValuesPolicy, Options, PreferencePolicy, Problem
from nodesmith.model import labels
from nodesmith.model.instancetype import InstanceType, Offering
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.money import UsdPerHour
from nodesmith.model.nodepool import NodePool
from nodesmith.model.overlay import NodeOverlay, PriceChange
from nodesmith.model.pod import (
    LOWEST_PRIORITY,
    HostPort,
    Pod,
    PodSpec,
    PodVolume,
    PreferredTerm,
    WeightedPodAffinityTerm,
)
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.model.selector import EVERYTHING
from nodesmith.model.storage import CSINode, PersistentVolume, PersistentVolumeClaim, StorageClass
from nodesmith.model.taints import NO_SCHEDULE, PREFER_NO_SCHEDULE, Taint, Toleration
from nodesmith.state.snapshot import Storage
from tests.unit.decide.schedule import build

APPS = ("api", "cache", "web")
TEAM = Taint("team", NO_SCHEDULE, "red")
SOFT = Taint("soft", PREFER_NO_SCHEDULE)
KEYS = (labels.HOSTNAME, labels.ZONE)


@st.composite
def specs(draw: st.DrawFn, app: str, *, plain: bool = False) -> PodSpec:
    """What a pod of the app asks: at times nothing but resources, at times several things at once."""
    fields: dict[str, Any] = {
        "cpu": draw(st.sampled_from([100, 500, 1200, 1900, 3500, 9000])),
        "memory": draw(st.sampled_from([128, 1024, 3000, 9000])),
        "tolerations": draw(st.sampled_from([(), (Toleration("team", "Exists"),)])),
    }
    wishes = () if plain else draw(st.sets(st.sampled_from(sorted(_RULES)), max_size=2))
    for wish in sorted(wishes):
        fields.update(_RULES[wish](draw, app))
    if draw(st.booleans()):
        key, value = draw(st.sampled_from(_SELECTORS))
        fields["node_selector"] = ((key, value),)
    return build.spec(**fields)


_SELECTORS = (
    (labels.ARCH, "amd64"),
    (labels.ARCH, "arm64"),
    (labels.ZONE, "a"),
    (labels.ZONE, "b"),
    (labels.CAPACITY_TYPE, labels.ON_DEMAND),
    (labels.INSTANCE_TYPE, "medium"),
)


def _spread(draw: st.DrawFn, app: str) -> dict[str, Any]:
    key, skew = draw(st.sampled_from((*KEYS, labels.CAPACITY_TYPE))), draw(st.integers(1, 2))
    least = draw(st.sampled_from([None, 3])) if key == labels.ZONE else None
    policies = {
        "honor_node_affinity": draw(st.sampled_from([True, True, False])),
        "honor_node_taints": draw(st.sampled_from([False, False, True])),
    }
    constraint = build.spread(app, key, skew, min_domains=least, **policies)
    if draw(st.integers(0, 9)) == 0:
        constraint = replace(constraint, selector=EVERYTHING)
    return {"topology_spread": (constraint,)}


def _affinity(draw: st.DrawFn, app: str) -> dict[str, Any]:
    return {"required_affinity": (build.near(draw(st.sampled_from([app, *APPS])), draw(st.sampled_from(KEYS))),)}


def _anti_affinity(draw: st.DrawFn, app: str) -> dict[str, Any]:
    return {"required_anti_affinity": (build.near(draw(st.sampled_from([app, *APPS])), draw(st.sampled_from(KEYS))),)}


def _host_port(draw: st.DrawFn, _app: str) -> dict[str, Any]:
    return {"host_ports": (HostPort(draw(st.sampled_from([80, 9100]))),)}


def _terms(_draw: st.DrawFn, _app: str) -> dict[str, Any]:
    zones = tuple((Requirement(labels.ZONE, frozenset(zone)),) for zone in "bc")
    return {"required_node_terms": zones}


def _contradiction(_draw: st.DrawFn, _app: str) -> dict[str, Any]:
    """A label of one value and of another: no node has it."""
    return {"node_selector": (("tier", "gold"),), "required_node_terms": ((Requirement("tier", frozenset(("tin",))),),)}


def _shy(_draw: st.DrawFn, _app: str) -> dict[str, Any]:
    """A label that must not have a value, and need not be there."""
    return {"required_node_terms": ((Requirement("tier", frozenset(("gold",)), complement=True),),)}


def _volume(draw: st.DrawFn, _app: str) -> dict[str, Any]:
    name = draw(st.sampled_from(sorted(CLAIMS)))
    return {"volumes": (PodVolume(name), PodVolume("scratch", is_ephemeral=True, storage_class="late"))}


def _priority(draw: st.DrawFn, _app: str) -> dict[str, Any]:
    return {"priority": draw(st.sampled_from([1000, LOWEST_PRIORITY]))}


def _preferences(draw: st.DrawFn, app: str) -> dict[str, Any]:
    wanted = (Requirement(labels.ARCH, frozenset(("arm64",))),)
    away = WeightedPodAffinityTerm(10, build.near(app, draw(st.sampled_from(KEYS))))
    return {"preferred_node_terms": (PreferredTerm(5, wanted),), "preferred_anti_affinity": (away,)}


_RULES = {
    "spread": _spread,
    "affinity": _affinity,
    "anti-affinity": _anti_affinity,
    "host-port": _host_port,
    "terms": _terms,
    "preferences": _preferences,
    "contradiction": _contradiction,
    "shy": _shy,
    "volume": _volume,
    "priority": _priority,
}

CLASSES = {
    "late": StorageClass(ObjectMeta("late"), "ebs.csi.aws.com", binds_immediately=False),
    "zonal": StorageClass(
        ObjectMeta("zonal"),
        "ebs.csi.aws.com",
        binds_immediately=False,
        allowed_topologies=((Requirement(labels.ZONE, frozenset("ab")),),),
    ),
}
VOLUMES = {"pv": PersistentVolume(ObjectMeta("pv"), ((Requirement(labels.ZONE, frozenset("b")),),), "ebs.csi.aws.com")}
CLAIMS = {
    "bound": PersistentVolumeClaim(ObjectMeta("bound", "default"), "pv", is_bind_completed=True, phase="Bound"),
    "late": PersistentVolumeClaim(ObjectMeta("late", "default"), storage_class="late"),
    "zonal": PersistentVolumeClaim(ObjectMeta("zonal", "default"), storage_class="zonal"),
}
LIMITS: tuple[dict[str, int], ...] = ({}, {}, {"cpu": 16_000}, {"nodes": 2}, {"cpu": 9_000, "nodes": 3})
OPTIONS = (
    Options(),
    Options(),
    Options(preferences=PreferencePolicy.IGNORE),
    Options(min_values=MinValuesPolicy.BEST_EFFORT),
)


@st.composite
def workloads(draw: st.DrawFn, *, plain: bool = False, node: str = "") -> tuple[Pod, ...]:
    """A few pods of a few workloads."""
    found: list[Pod] = []
    for number in range(draw(st.integers(1, 4))):
        app = draw(st.sampled_from(APPS))
        shape = draw(specs(app, plain=plain))
        found += build.pods(f"{app}{number}{node}", draw(st.integers(1, 4)), shape, app=app, node=node)
    return tuple(found)


@st.composite
def problems(draw: st.DrawFn, *, plain: bool = False) -> Problem:
    """Something to place, somewhere to place it, something to buy."""
    pools = [build.pool("default", limits=draw(st.sampled_from(LIMITS)))]
    if not plain:
        pools = [_diverse(draw, each) for each in pools]
    if draw(st.booleans()):
        wanted = draw(st.sampled_from([(labels.ZONE, "In", ("a", "c")), (labels.CAPACITY_TYPE, "In", (labels.SPOT,))]))
        taints = draw(st.sampled_from([(), (TEAM,), (SOFT,)]))
        pools.append(build.pool("extra", wanted, taints=taints, weight=draw(st.sampled_from([0, 10]))))
    nodes = []
    for number in range(draw(st.integers(0, 3))):
        name = f"n{number}"
        running = draw(st.lists(st.sampled_from(APPS), max_size=2))
        held = [build.pod(f"{app}-on-{name}-{index}", cpu=300, app=app, node=name) for index, app in enumerate(running)]
        taints = draw(st.sampled_from([(), (), (TEAM,)]))
        nodes.append(
            build.node(
                name, draw(st.sampled_from(["small", "large"])), draw(st.sampled_from("abc")), held, taints=taints
            )
        )
    daemons = [build.daemon("logs", build.spec(cpu=100, host_ports=draw(st.sampled_from([(), (HostPort(9100),)]))))]
    limits = {
        node_.name: CSINode(ObjectMeta(node_.name), {"ebs.csi.aws.com": draw(st.integers(0, 2))}) for node_ in nodes
    }
    storage = Storage(
        volumes=VOLUMES,
        claims={f"default/{name}": claim for name, claim in CLAIMS.items()},
        classes=CLASSES,
        csi_nodes=limits if draw(st.booleans()) else {},
    )
    return build.problem(
        draw(workloads(plain=plain)),
        pools=pools,
        nodes=nodes,
        daemons=daemons if draw(st.booleans()) else (),
        types=build.TYPES if plain else draw(_types()),
        storage=storage,
        options=Options() if plain else draw(st.sampled_from(OPTIONS)),
    )


def _diverse(draw: st.DrawFn, found: NodePool) -> NodePool:
    """The pool, which at times wants to stay launchable as several types."""
    least = draw(st.sampled_from([None, None, None, 2, 3]))
    if least is None:
        return found
    asked = Requirement(labels.INSTANCE_TYPE, complement=True, min_values=least)
    return replace(found, requirements=found.requirements & Requirements.of((asked,)))


@st.composite
def _types(draw: st.DrawFn) -> tuple[InstanceType, ...]:
    """What can be bought: at times with a reservation, with offerings that are not to be had, under an overlay."""
    types = list(build.TYPES)
    if draw(st.integers(0, 3)) == 0:
        held = Offering("a", labels.RESERVED, UsdPerHour.of(0.001), reservation_id="cr", reservation_capacity=1)
        terms = Requirement(labels.CAPACITY_TYPE, frozenset((labels.ON_DEMAND, labels.RESERVED, labels.SPOT)))
        stated = Requirements({**types[0].requirements.by_key, labels.CAPACITY_TYPE: terms})
        types[0] = replace(types[0], requirements=stated, offerings=(*types[0].offerings, held))
    if draw(st.integers(0, 3)) == 0:
        gone = draw(st.sampled_from("abc"))
        offerings = tuple(replace(each, is_available=each.zone != gone) for each in types[1].offerings)
        types[1] = replace(types[1], offerings=offerings)
    if draw(st.integers(0, 3)) == 0:
        wanted = Requirements.of((Requirement(labels.ARCH, frozenset(("arm64",))),))
        cheap = NodeOverlay(ObjectMeta("cheap"), wanted, PriceChange.adjusting("-30%"), {"example.com/fuse": 1})
        types = list(overlaid({"any": types}, [build.pool("any")], [cheap]).catalog["any"])
    return tuple(types)
