"""Whether pods, nodes and NodeClaims get on: who waits, for how long, and for what."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from nodesmith.decide.schedule.explain import PodExplanation, explain_pod
from nodesmith.decide.schedule.problem import Problem, pods_to_place
from nodesmith.decide.schedule.solve import schedule
from nodesmith.install.doctor.check import Check, Group, Verdict, advised, failed, judged, not_applicable, ok
from nodesmith.install.doctor.facts import Facts
from nodesmith.install.doctor.offers import homeless
from nodesmith.install.doctor.seen import Unseen, need
from nodesmith.model.meta import Condition
from nodesmith.model.nodeclaim import LAUNCHED, REGISTERED, NodeClaim
from nodesmith.model.pod import Pod
from nodesmith.model.resources import CPU, MEMORY
from nodesmith.plan.schedule import OnClaim, OnNode, SchedulePlan
from nodesmith.state.snapshot import Snapshot, StateNode

PENDING_TOO_LONG: Final = timedelta(minutes=5)
LAUNCHING_TOO_LONG: Final = timedelta(minutes=5)
JOINING_TOO_LONG: Final = timedelta(minutes=10)
SICK_TOO_LONG: Final = timedelta(minutes=10)
LEAVING_TOO_LONG: Final = timedelta(minutes=30)
_TOLD: Final = 5
_PLANNED: Final = 300
"""So many of the pods that wait for longest are planned for: more would only take longer."""


def _snapshot(facts: Facts) -> Snapshot:
    return need(facts.cluster.snapshot)


def _minutes(since: datetime, now: datetime) -> str:
    return f"{(now - since) // timedelta(minutes=1)} min"


def _pending(facts: Facts) -> Verdict:
    snapshot = _snapshot(facts)
    waiting = [each for each in snapshot.pods if each.is_provisionable]
    long = [each for each in waiting if facts.now - each.meta.created_at >= PENDING_TOO_LONG]
    if not long:
        return ok(f"{len(waiting)} pods wait, none for long")
    catalog = {name: types for name, types in facts.catalog.items() if not isinstance(types, Unseen)}
    oldest = sorted(long, key=lambda each: (each.meta.created_at, each.key))
    shown, kept = oldest[:_TOLD], {each.key for each in oldest[:_PLANNED]}
    problem = Problem(snapshot, catalog, tuple(each for each in pods_to_place(snapshot) if each.key in kept))
    plan = schedule(problem)
    told = [line for each in shown for line in _why(facts, problem, plan, each)]
    more = [f"and {len(long) - _TOLD} more pods"] if len(long) > _TOLD else []
    return failed(*told, *more)


def _why(facts: Facts, problem: Problem, plan: SchedulePlan, pod: Pod) -> Iterator[str]:
    start = f"{pod.key} waits for {_minutes(pod.meta.created_at, facts.now)}"
    match plan.placements.get(pod.key):
        case OnNode(node):
            yield f"{start}, although node {node} has room: look at its events"
        case OnClaim():
            explained = explain_pod(problem, plan, pod.key)
            yield f"{start}, although {explained.goes_to} would take it: the controller has not made it"
        case _:
            explained = explain_pod(problem, plan, pod.key)
            yield f"{start}: {explained.because}"
            yield from _help(explained)


def _help(explained: PodExplanation) -> Iterator[str]:
    yield from (f"  {change}" for change in explained.changes[:2])


def _claims(facts: Facts) -> list[NodeClaim]:
    return [node.claim for node in _snapshot(facts).nodes if node.claim is not None and not node.is_deleting]


def _launch(facts: Facts) -> Verdict:
    problems = [
        f"NodeClaim {each.name} has no instance after {_minutes(each.meta.created_at, facts.now)}"
        f"{_said(each, LAUNCHED)}"
        for each in _claims(facts)
        if not each.has(LAUNCHED) and facts.now - each.meta.created_at >= LAUNCHING_TOO_LONG
    ]
    return judged(problems, otherwise="every NodeClaim has its instance")


def _join(facts: Facts) -> Verdict:
    problems = [
        f"NodeClaim {each.name}: its instance {each.provider_id.rpartition('/')[2]} has not joined after "
        f"{_minutes(launched.changed_at, facts.now)}"
        for each in _claims(facts)
        if (launched := each.condition(LAUNCHED)) is not None
        and launched.is_true
        and not each.has(REGISTERED)
        and facts.now - launched.changed_at >= JOINING_TOO_LONG
    ]
    return judged(problems, otherwise="every instance has joined")


def _said(claim: NodeClaim, kind: str) -> str:
    condition: Condition | None = claim.condition(kind)
    if condition is None or not (condition.reason or condition.message):
        return ""
    return f": {condition.reason}: {condition.message}".rstrip(": ")


def _sick(facts: Facts) -> Verdict:
    problems = []
    for node in _snapshot(facts).nodes:
        ready = node.node.conditions.get("Ready") if node.node is not None and node.is_managed else None
        if ready is not None and not ready.is_true and facts.now - ready.changed_at >= SICK_TOO_LONG:
            why = ready.message or ready.reason
            problems.append(f"node {node.name} is not Ready for {_minutes(ready.changed_at, facts.now)}: {why}")
    return judged(problems, otherwise="every node is Ready")


def _leaving(facts: Facts) -> Verdict:
    problems = []
    for node in _snapshot(facts).nodes:
        since = _asked_to_go(node)
        if since is not None and facts.now - since >= LEAVING_TOO_LONG:
            held = [each.key for each in node.pods if each.is_reschedulable][:_TOLD]
            by = f", held by {', '.join(held)}" if held else ""
            problems.append(f"{node.name} is leaving for {_minutes(since, facts.now)}{by}")
    return advised(problems, otherwise="nodes that leave are gone soon")


def _asked_to_go(node: StateNode) -> datetime | None:
    own = node.claim.meta if node.claim is not None else node.node.meta if node.node is not None else None
    return None if own is None else own.deleted_at


def _budgets(facts: Facts) -> Verdict:
    problems = [
        f"{each.key} allows no eviction although all of its {each.expected} pods are healthy ({each.wanted} must be)"
        for each in need(facts.cluster.budgets)
        if each.expected and not each.allowed and each.healthy >= each.expected
    ]
    return advised(problems, otherwise="every PodDisruptionBudget lets pods move")


def _daemons(facts: Facts) -> Verdict:
    snapshot = _snapshot(facts)
    catalog = {name: types for name, types in facts.catalog.items() if not isinstance(types, Unseen)}
    if not snapshot.daemonsets:
        return not_applicable("there is no DaemonSet")
    problems = [
        f"DaemonSet {daemons.meta.key} fits on no machine of NodePool {pool.name}"
        for daemons, pool in homeless(snapshot, catalog)
    ]
    return advised(problems, otherwise="every DaemonSet fits on machines of the NodePools")


def _requests(facts: Facts) -> Verdict:
    bare = sorted(
        {
            each.meta.namespace
            for each in _snapshot(facts).pods
            if each.is_reschedulable and not ({CPU, MEMORY} & each.requests.keys())
        }
    )
    problems = [f"pods in namespace {namespace} ask for neither CPU nor memory" for namespace in bare]
    return advised(problems, otherwise="every pod says what it needs")


WORK: Final = Group(
    "Pods and nodes",
    (
        Check(
            "ND701",
            "Pods do not wait long",
            "No NodePool can take them, or the controller does not act.",
            "Read the reason; `nodesmith explain pod` says what each NodePool has for a pod and what would help.",
            _pending,
        ),
        Check(
            "ND702",
            "NodeClaims get instances",
            "EC2 has no capacity, or refuses the launch.",
            "Read the reason; allow more types and zones where it is capacity.",
            _launch,
        ),
        Check(
            "ND703",
            "Instances join the cluster",
            "They do not reach the endpoint, are not let in, or their user data fails.",
            "Look at ND211, ND304, ND307 and ND308, then at the console output (`aws ec2 get-console-output`).",
            _join,
        ),
        Check(
            "ND704",
            "Nodes are Ready",
            "The kubelet stopped, the CNI does not start, or images cannot be pulled (ND204, ND205).",
            "`kubectl describe node`; with the gate NodeRepair on, sick nodes are replaced.",
            _sick,
        ),
        Check(
            "ND705",
            "Nodes that leave are soon gone",
            "A PodDisruptionBudget or the annotation karpenter.sh/do-not-disrupt holds a pod there.",
            "Set spec.template.spec.terminationGracePeriod, after which nodes go in any case; or move the pod.",
            _leaving,
        ),
        Check(
            "ND706",
            "PodDisruptionBudgets let pods move",
            "minAvailable is the number of replicas (or maxUnavailable 0): no node with such a pod ever leaves.",
            "Set maxUnavailable: 1, or run one replica more.",
            _budgets,
        ),
        Check(
            "ND707",
            "DaemonSets fit on machines of the NodePools",
            "A DaemonSet asks for more than any machine of a NodePool has, and will be pending on each.",
            "Make its requests smaller, allow larger types, or keep it off the NodePool by affinity.",
            _daemons,
        ),
        Check(
            "ND708",
            "Pods say what they need",
            "A pod without requests takes no room in anybody's plan: nodes are overfull and nothing is bought.",
            "Set resources.requests (a LimitRange gives defaults).",
            _requests,
        ),
    ),
)
