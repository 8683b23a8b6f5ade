from typing import Any

import pytest

from nodesmith.api.core import decode_daemon_set, decode_pod
from nodesmith.api.podspec import PodSpecs
from nodesmith.model.labels import HOSTNAME
from nodesmith.model.pod import HostPort, Pod, PodVolume
from nodesmith.model.requirements import Requirement
from nodesmith.model.selector import Expression

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def pod(spec: dict[str, Any] | None = None, *, labels: dict[str, str] | None = None, **more: Any) -> Pod:
    metadata = {"name": "web-0", "namespace": "shop", "labels": labels or {}}
    return decode_pod({"metadata": metadata, "spec": spec or {}, **more})


def container(cpu: str | None = None, *, limit: str | None = None, **more: Any) -> dict[str, Any]:
    requests = {"requests": {"cpu": cpu}} if cpu else {}
    limits = {"limits": {"cpu": limit}} if limit else {}
    return {"name": "main", "resources": requests | limits, **more}


def sidecar(cpu: str) -> dict[str, Any]:
    return container(cpu, restartPolicy="Always")


@pytest.mark.parametrize(
    ("spec", "milli_cpu"),
    [
        ({"containers": [container("1"), container("500m")]}, 1500),
        ({"containers": [container(limit="2")]}, 2000),
        ({"containers": [container("1", limit="2")]}, 1000),
        ({"containers": [container("1")], "initContainers": [container("3")]}, 3000),
        ({"containers": [container("2")], "initContainers": [container("1"), container("1")]}, 2000),
        ({"containers": [container("1")], "initContainers": [sidecar("500m")]}, 1500),
        ({"containers": [container("1")], "initContainers": [sidecar("1"), container("2")]}, 3000),
        ({"containers": [container("1")], "initContainers": [container("2"), sidecar("1")]}, 2000),
        ({"containers": [container("1")], "initContainers": [sidecar("1"), container("2"), sidecar("3")]}, 5000),
        ({"containers": [container("1")], "overhead": {"cpu": "250m"}}, 1250),
        ({"containers": [container("1")], "resources": {"requests": {"cpu": "4"}}}, 4000),
        ({"containers": [container("1")], "resources": {"limits": {"cpu": "4"}}}, 1000),
        ({"containers": [container()], "resources": {"limits": {"cpu": "4"}}}, 4000),
    ],
)
def test_effective_requests(spec: dict[str, Any], milli_cpu: int) -> None:
    assert pod(spec).requests == {"cpu": milli_cpu, "pods": 1}


def test_while_a_container_is_resized_the_larger_amount_counts() -> None:
    status = {"containerStatuses": [{"name": "main", "allocatedResources": {"cpu": "3"}}]}
    assert pod({"containers": [container("1")]}, status=status).requests["cpu"] == 3000
    assert pod({"containers": [container("4")]}, status=status).requests["cpu"] == 4000


def test_limits_are_summed_by_the_same_rules() -> None:
    assert pod({"containers": [container("1", limit="2"), container(limit="1")]}).limits == {"cpu": 3000}
    assert pod({"containers": [container("1")], "overhead": {"cpu": "1"}}).limits == {}


def test_pods_of_one_shape_share_one_spec() -> None:
    one = pod({"containers": [container("1", image="a")], "nodeName": "n", "volumes": [{"name": "token"}]})
    two = pod({"containers": [container("1", image="b")], "serviceAccountName": "x"}, labels={"a": "b"})
    assert one.spec is two.spec
    assert one.node_name == "n"
    assert pod({"containers": [container("1000m")]}).spec is one.spec


def test_namespace_and_labels_keep_pods_apart_only_where_they_have_a_say() -> None:
    term = {"topologyKey": "zone", "labelSelector": {}, "matchLabelKeys": ["hash"]}
    spec = {"affinity": {"podAffinity": {REQUIRED: [term]}}}
    one, two = pod(spec, labels={"hash": "1", "x": "1"}), pod(spec, labels={"hash": "1", "x": "2"})
    assert one.spec is two.spec
    assert pod(spec, labels={"hash": "2"}).spec != one.spec
    assert one.spec.required_affinity[0].namespaces == {"shop"}


def test_the_interner_starts_anew_when_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodesmith.api.podspec._MOST", 2)
    specs = PodSpecs()
    shapes = [
        specs.shape_of({"containers": [container(str(cpu))]}, namespace="x", labels={}).spec for cpu in (1, 2, 3, 3)
    ]
    assert shapes[2] is shapes[3]
    assert len(set(shapes)) == 3


def test_own_labels_become_part_of_the_selector() -> None:
    term = {
        "topologyKey": "zone",
        "labelSelector": {"matchLabels": {"app": "web"}},
        "matchLabelKeys": ["hash", "missing"],
        "mismatchLabelKeys": ["tenant"],
    }
    spread = {"topologyKey": "zone", "maxSkew": 2, "whenUnsatisfiable": "ScheduleAnyway", "matchLabelKeys": ["hash"]}
    decoded = pod(
        {
            "affinity": {"podAntiAffinity": {PREFERRED: [{"weight": 5, "podAffinityTerm": term}]}},
            "topologySpreadConstraints": [spread, spread | {"labelSelector": {}}],
        },
        labels={"hash": "1", "tenant": "a"},
    )
    selector = decoded.spec.preferred_anti_affinity[0].term.selector
    assert selector is not None
    assert set(selector.expressions) == {
        Expression("app", "In", ("web",)),
        Expression("hash", "In", ("1",)),
        Expression("tenant", "NotIn", ("a",)),
    }
    without, with_selector = decoded.spec.topology_spread
    assert without.selector is None
    assert with_selector.selector is not None
    assert with_selector.selector.expressions == (Expression("hash", "In", ("1",)),)
    assert not without.is_hard


@pytest.mark.parametrize(
    ("stated", "names", "has_selector"),
    [
        ({}, {"shop"}, False),
        ({"namespaces": ["a", "b"]}, {"a", "b"}, False),
        ({"namespaceSelector": {}}, set(), True),
        ({"namespaces": ["a"], "namespaceSelector": {"matchLabels": {"x": "y"}}}, {"a"}, True),
    ],
)
def test_whose_pods_a_term_is_about(stated: dict[str, Any], names: set[str], has_selector: bool) -> None:  # noqa: FBT001 - a parameter
    term = {"topologyKey": "zone", "labelSelector": {}, **stated}
    [decoded] = pod({"affinity": {"podAffinity": {REQUIRED: [term]}}}).spec.required_affinity
    assert decoded.namespaces == names
    assert (decoded.namespace_selector is not None) is has_selector


def test_host_ports_are_those_of_containers_with_the_server_s_defaults() -> None:
    ports = [{"containerPort": 80}, {"containerPort": 53, "hostPort": 5353, "protocol": "UDP", "hostIP": "10.0.0.1"}]
    spec = {"containers": [{"ports": ports}], "initContainers": [{"ports": [{"hostPort": 1}]}]}
    assert pod(spec).spec.host_ports == (HostPort(5353, "UDP", "10.0.0.1"),)
    assert pod(spec | {"hostNetwork": True}).spec.host_ports == (HostPort(80), HostPort(5353, "UDP", "10.0.0.1"))


def test_volumes_are_those_through_claims() -> None:
    template = {"volumeClaimTemplate": {"spec": {"storageClassName": "fast"}}}
    volumes = [
        {"name": "a", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "b", "ephemeral": template},
        {"name": "c", "ephemeral": {}},
        {"name": "d", "emptyDir": {}},
    ]
    assert pod({"volumes": volumes}).spec.volumes == (
        PodVolume("data"),
        PodVolume("b", is_ephemeral=True, storage_class="fast"),
        PodVolume("c", is_ephemeral=True),
    )


def node_affinity(*terms: dict[str, Any]) -> dict[str, Any]:
    return {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": list(terms)}}}}


def test_an_empty_node_term_selects_nothing() -> None:
    term = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
    assert pod(node_affinity({}, term)).spec.required_node_terms == ((Requirement.of("zone", "In", ["a"]),),)
    [[impossible]] = pod(node_affinity({})).spec.required_node_terms
    assert impossible.key == HOSTNAME
    assert not impossible.is_negative
    assert not impossible.overlaps(Requirement.of(HOSTNAME, "Exists"))


def test_an_expression_that_cannot_be_read_allows_nothing() -> None:
    term = {"matchExpressions": [{"key": "cpus", "operator": "Gt", "values": ["many"]}]}
    [[impossible]] = pod(node_affinity(term)).spec.required_node_terms
    assert not any(impossible.allows(value) for value in ("0", "1", "many"))


def test_match_fields_are_noticed() -> None:
    fields = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}
    assert pod(node_affinity(fields)).spec.has_match_fields
    assert not pod(node_affinity({"matchExpressions": [{"key": "a", "operator": "Exists"}]})).spec.has_match_fields


def test_status_says_whether_it_waits_runs_or_is_nominated() -> None:
    conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]
    waiting = pod(status={"conditions": conditions, "phase": "Pending", "nominatedNodeName": "n"})
    assert waiting.is_unschedulable
    assert waiting.nominated_node_name == "n"
    gated = [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]
    assert not pod({"schedulingGates": [{"name": "x"}]}, status={"conditions": gated}).is_unschedulable
    running = pod(status={"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})
    assert running.is_ready
    assert not running.is_unschedulable


def test_defaults_of_what_is_not_said() -> None:
    bare = pod({"tolerations": [{"key": "a"}], "terminationGracePeriodSeconds": 0, "priorityClassName": "high"})
    assert bare.spec.tolerations[0].operator == "Equal"
    assert bare.spec.termination_grace_period_s == 0
    assert bare.spec.priority_class == "high"
    assert bare.spec.priority is None
    assert pod().spec.termination_grace_period_s == 30


def test_a_daemon_set_has_the_shape_of_its_pods() -> None:
    template = {"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": [container("100m")]}}
    daemons = decode_daemon_set({"metadata": {"name": "agent", "namespace": "shop"}, "spec": {"template": template}})
    assert daemons.template is pod({"containers": [container("100m")]}).spec
    assert daemons.template_meta.labels == {"app": "agent"}
