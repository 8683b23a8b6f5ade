"""Whether the controller runs, is the only one, and is set as it should be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from nodesmith.api.likeness import did_you_mean
from nodesmith.install.doctor.check import Check, Group, Verdict, advised, failed, judged, not_applicable, ok, warning
from nodesmith.install.doctor.clusterfacts import Controller, Definition, Lease
from nodesmith.install.doctor.facts import Facts
from nodesmith.install.doctor.naming import LEASE
from nodesmith.install.doctor.own import FIELDS
from nodesmith.install.doctor.seen import need

_MANY_RESTARTS: Final = 3
_VITAL: Final = ("nodepools.karpenter.sh", "nodeclaims.karpenter.sh", "ec2nodeclasses.karpenter.k8s.aws")
_LISTED: Final = 5


def _defined(facts: Facts) -> Mapping[str, Definition]:
    return {each.name: each for each in need(facts.cluster.definitions)}


def _definitions(facts: Facts) -> Verdict:
    absent = [name for name in _VITAL if name not in _defined(facts)]
    return judged((f"{name} is not defined" for name in absent), otherwise="the kinds are defined")


def _served(facts: Facts) -> Verdict:
    problems = [
        f"{name} serves {', '.join(found.served)}, not v1"
        for name, found in _defined(facts).items()
        if name in _VITAL and "v1" not in found.served
    ]
    return judged(problems, otherwise="v1 is served")


def _fields(facts: Facts) -> Verdict:
    problems = []
    for name, found in _defined(facts).items():
        lacking = sorted(FIELDS.get(name, frozenset()) - found.fields)
        if lacking and "v1" in found.served:
            more = f" and {len(lacking) - _LISTED} more" if len(lacking) > _LISTED else ""
            problems.append(f"{name} does not know {', '.join(lacking[:_LISTED])}{more}")
    return advised(problems, otherwise="the definitions have every field")


def _installed(facts: Facts) -> Verdict:
    found = facts.controller
    return failed("no Deployment runs nodesmith") if found is None else ok(f"{found.key} runs {found.image}")


def _ready(facts: Facts) -> Verdict:
    controller = facts.a_controller
    told = f"{controller.ready} of {controller.replicas} pods of {controller.key} are ready"
    waits = sorted({f"{each.name}: {each.waits_for}" for each in controller.pods if each.waits_for})
    if not controller.replicas:
        return failed(f"{controller.key} is scaled to none")
    if not controller.ready:
        return failed(told, *waits)
    return warning(told, *waits) if controller.ready < controller.replicas else ok(told)


def _restarts(facts: Facts) -> Verdict:
    controller = facts.a_controller
    problems = [
        f"{each.name} was started {each.restarts} times again{f', last after {each.last_end}' if each.last_end else ''}"
        for each in controller.pods
        if each.restarts >= _MANY_RESTARTS or each.last_end == "OOMKilled"
    ]
    return advised(problems, otherwise="its pods stay up")


def _version(facts: Facts) -> Verdict:
    controller = facts.a_controller
    if not controller.is_nodesmith:
        return not_applicable(f"{controller.key} is Karpenter")
    if not controller.version:
        return not_applicable(f"{controller.image} has no tag")
    if controller.version != facts.version:
        return warning(f"the controller is {controller.version}, this program {facts.version}")
    return ok(facts.version)


def _not_on_own(facts: Facts) -> Verdict:
    problems = [
        f"{each.name} runs on {each.node}, a node of NodePool {each.pool}"
        for each in facts.a_controller.pods
        if each.pool
    ]
    return judged(problems, otherwise="it runs on nodes that it did not make")


def _affinity(facts: Facts) -> Verdict:
    if facts.a_controller.keeps_off_own_nodes:
        return ok("its affinity keeps it off nodes of its own")
    return warning("its affinity lets it onto nodes of its own")


def _alone(facts: Facts) -> Verdict:
    running = [each for each in need(facts.cluster.controllers) if each.replicas]
    if len(running) < 2:  # noqa: PLR2004 - two are one too many
        return ok("there is one controller")
    return failed(*(f"{each.key} runs {each.image}" for each in running))


def _live(facts: Facts) -> list[Lease]:
    """The leases by which somebody leads now."""
    return [each for each in need(facts.cluster.leases) if each.name == LEASE and each.is_live(facts.now)]


def _one_leader(facts: Facts) -> Verdict:
    live = _live(facts)
    if len(live) > 1:
        return failed(*(f"{each.holder} leads by the lease in {each.namespace}" for each in live))
    return ok(f"{live[0].holder} leads") if live else ok("nobody leads")


def _leads(facts: Facts) -> Verdict:
    controller = facts.a_controller
    if controller.environment.get("DISABLE_LEADER_ELECTION", "").lower() == "true":
        return not_applicable("leader election is off")
    live = _live(facts)
    if not live:
        return failed(f"nobody holds the lease {controller.namespace}/{LEASE}: nothing is decided")
    own = [each.name for each in controller.pods]
    foreign = [each for each in live if own and not any(each.holder.startswith(name) for name in own)]
    if foreign:
        return warning(*(f"the lease is held by {each.holder}, no pod of {controller.key}" for each in foreign))
    return ok(f"{live[0].holder} leads")


def _cluster_name(facts: Facts) -> Verdict:
    stated = facts.a_controller.environment.get("CLUSTER_NAME", "")
    if stated == facts.cluster_name:
        return ok(stated)
    cure = did_you_mean(stated, [facts.cluster_name]) if stated else ""
    return failed(f"settings.clusterName is {stated or 'empty'}, the cluster is {facts.cluster_name}", cure=cure)


def _endpoint(facts: Facts) -> Verdict:
    stated = facts.a_controller.environment.get("CLUSTER_ENDPOINT", "")
    if not stated:
        return ok("it is asked of EKS")
    if stated.rstrip("/").lower() == facts.eks.endpoint.rstrip("/").lower():
        return ok(stated)
    return failed(f"settings.clusterEndpoint is {stated}, EKS says {facts.eks.endpoint}")


def _settings(facts: Facts) -> Verdict:
    return judged(need(facts.cluster.settings_faults), otherwise="its settings can be read")


def _region(facts: Facts) -> Verdict:
    stated = facts.a_controller.environment.get("AWS_REGION", "")
    if stated and stated != facts.region:
        return failed(f"AWS_REGION is {stated}, the cluster is in {facts.region}")
    return ok(stated or "by pod identity or the node")


def _metrics(facts: Facts) -> Verdict:
    return judged(
        _bad_ports(facts, facts.a_controller), otherwise="metrics and probes are served where they are sought"
    )


def _bad_ports(facts: Facts, controller: Controller) -> Iterator[str]:
    stated = controller.environment
    for variable, name in (("METRICS_PORT", "http-metrics"), ("HEALTH_PROBE_PORT", "http")):
        port = controller.ports.get(name)
        if stated.get(variable) and port is not None and str(port) != stated[variable]:
            yield f"{variable} is {stated[variable]}, the container's port {name} is {port}"
    known = {*controller.ports, *(str(port) for port in controller.ports.values())}
    for each in need(facts.cluster.service_ports):
        if controller.ports and each.target not in known:
            yield f"Service {each.service} sends {each.name} to port {each.target}, which the container has not"


CONTROLLER: Final = Group(
    "The controller",
    (
        Check(
            "ND501",
            "The kinds are defined",
            "NodePool, NodeClaim and EC2NodeClass are custom resources; Helm does not bring them back once deleted.",
            "Install the chart nodesmith-crd, or `kubectl apply -f charts/nodesmith/crds`.",
            _definitions,
        ),
        Check(
            "ND502",
            "The definitions serve v1",
            "They are of a Karpenter before 1.0.",
            "Upgrade the definitions; objects of v1beta1 have to be converted first.",
            _served,
        ),
        Check(
            "ND503",
            "The definitions are of this version",
            "Helm never upgrades CRDs in a chart's crds folder: fields that they do not know are dropped silently.",
            "Install the chart nodesmith-crd, or `kubectl apply --server-side -f charts/nodesmith/crds`.",
            _fields,
        ),
        Check(
            "ND511",
            "A controller is installed",
            "The Helm release failed, is in another cluster, or was never made.",
            "Run `nodesmith install`.",
            _installed,
        ),
        Check(
            "ND512",
            "The controller is ready",
            "Its image cannot be pulled, no node takes it, or it ends with an error: its log says which.",
            "`kubectl describe pod` and `kubectl logs` of the pods that are not ready.",
            _ready,
        ),
        Check(
            "ND513",
            "The controller stays up",
            "OOMKilled: its memory limit is too low for the cluster. Otherwise its log says why.",
            "Raise controller.resources.limits.memory: 1Gi serves a thousand nodes.",
            _restarts,
        ),
        Check(
            "ND514",
            "The controller has this program's version",
            "The release was not upgraded with the command line, or the other way round.",
            "Upgrade the older of the two.",
            _version,
        ),
        Check(
            "ND515",
            "The controller runs on nodes that it did not make",
            "On a node of its own it would be asked to remove itself; if that node goes, nobody makes another.",
            "Keep the chart's affinity (karpenter.sh/nodepool DoesNotExist), and have a managed node group or Fargate.",
            _not_on_own,
        ),
        Check(
            "ND516",
            "The controller is kept off nodes of its own",
            "Values that set `affinity` replace the chart's.",
            "Add to the affinity: karpenter.sh/nodepool DoesNotExist.",
            _affinity,
        ),
        Check(
            "ND521",
            "There is one controller",
            "Karpenter and nodesmith, or two releases: each would buy nodes for the same pods and remove the other's.",
            "Scale one of them to zero; to switch over, scale Karpenter down first.",
            _alone,
        ),
        Check(
            "ND522",
            "One lease is held",
            "The lease is in a namespace: controllers of two namespaces lead at the same time.",
            "Remove one of the releases, or give both the same LEADER_ELECTION_NAMESPACE.",
            _one_leader,
        ),
        Check(
            "ND523",
            "The controller leads",
            "All of its pods wait for a lease that nobody renews or that somebody else holds, or cannot write leases.",
            "Read its log for leader election; look at the Role of the chart.",
            _leads,
        ),
        Check(
            "ND531",
            "The controller is told the cluster's name",
            "Nodes join by that name, and instances are found by it: with a wrong one none is ever seen again.",
            "Set settings.clusterName.",
            _cluster_name,
        ),
        Check(
            "ND532",
            "The controller is told the cluster's endpoint",
            "A value that was copied from another cluster sends nodes there.",
            "Leave settings.clusterEndpoint empty: it is asked of EKS.",
            _endpoint,
        ),
        Check(
            "ND533",
            "The controller's settings can be read",
            "A variable has a value that cannot be understood; the controller does not start with it.",
            "Correct the Helm values that are listed.",
            _settings,
        ),
        Check(
            "ND534",
            "The controller asks the right region",
            "AWS_REGION in controller.env overrides where it looks.",
            "Set AWS_REGION to the cluster's region, or leave it out.",
            _region,
        ),
        Check(
            "ND535",
            "Metrics and probes have the right ports",
            "The port was changed in one place only: Prometheus finds nothing, or probes kill the controller.",
            "Change controller.metrics.port and controller.healthProbe.port in the values, nothing else.",
            _metrics,
        ),
    ),
)
