"""Random small clusters with pods to place: pools, types, nodes, daemons, and every kind of rule now and then."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from nodesmith.decide.schedule.problem import Problem
from nodesmith.model import labels
from nodesmith.model.pod import HostPort, Pod, PodSpec, PreferredTerm, WeightedPodAffinityTerm
from nodesmith.model.requirements import Requirement
from nodesmith.model.taints import NO_SCHEDULE, PREFER_NO_SCHEDULE, Taint, Toleration
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
    key, skew = draw(st.sampled_from(KEYS)), draw(st.integers(1, 2))
    least = draw(st.sampled_from([None, 3])) if key == labels.ZONE else None
    return {"topology_spread": (build.spread(app, key, skew, min_domains=least),)}


def _affinity(draw: st.DrawFn, app: str) -> dict[str, Any]:
    return {"required_affinity": (build.near(draw(st.sampled_from([app, *APPS])), draw(st.sampled_from(KEYS))),)}


def _anti_affinity(draw: st.DrawFn, app: str) -> dict[str, Any]:
    return {"required_anti_affinity": (build.near(draw(st.sampled_from([app, *APPS])), draw(st.sampled_from(KEYS))),)}


def _host_port(draw: st.DrawFn, _app: str) -> dict[str, Any]:
    return {"host_ports": (HostPort(draw(st.sampled_from([80, 9100]))),)}


def _terms(_draw: st.DrawFn, _app: str) -> dict[str, Any]:
    zones = tuple((Requirement(labels.ZONE, frozenset(zone)),) for zone in "bc")
    return {"required_node_terms": zones}


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
}


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
    pools = [build.pool("default", limits=draw(st.sampled_from([{}, {}, {"cpu": 16_000}])))]
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
    return build.problem(
        draw(workloads(plain=plain)), pools=pools, nodes=nodes, daemons=daemons if draw(st.booleans()) else ()
    )
