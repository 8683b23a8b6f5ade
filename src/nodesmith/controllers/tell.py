"""The events that people read, with upstream's reasons and sentences (spec 8.5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.api.kinds import EC2_NODE_CLASS, NODE, NODE_CLAIM, NODE_POOL, POD
from nodesmith.api.meta import format_time
from nodesmith.decide.disrupt.protection import InvalidDoNotDisruptError, parse_do_not_disrupt
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.model.pod import Pod
from nodesmith.ports.events import NORMAL, WARNING, Event, ObjectReference
from nodesmith.state.snapshot import StateNode

_NAMES_SHOWN: Final = 5
_SHORT: Final = timedelta(minutes=1)
_DEFAULT: Final = timedelta(minutes=2)
_FIVE_MINUTES: Final = timedelta(minutes=5)
_LONG: Final = timedelta(minutes=15)


def _of_pod(pod: Pod) -> ObjectReference:
    return ObjectReference(POD.api_version, POD.name, pod.meta.name, pod.meta.namespace, pod.meta.uid)


def _of_node(node: Node) -> ObjectReference:
    return ObjectReference(NODE.api_version, NODE.name, node.name, "", node.meta.uid)


def _of_claim(claim: NodeClaim) -> ObjectReference:
    return ObjectReference(NODE_CLAIM.api_version, NODE_CLAIM.name, claim.name, "", claim.meta.uid)


def _of_pool(pool: NodePool) -> ObjectReference:
    return ObjectReference(NODE_POOL.api_version, NODE_POOL.name, pool.name, "", pool.meta.uid)


def nominated(pod: Pod, *, node: str = "", claim: str = "") -> Event:
    """The pod knows where it will go."""
    places = [*([f"nodeclaim/{claim}"] if claim else []), *([f"node/{node}"] if node else [])]
    message = f"Pod should schedule on: {', '.join(places)}"
    return Event(_of_pod(pod), "Nominated", message, NORMAL, (pod.meta.uid,))


def failed_scheduling(pod: Pod, why: str) -> Event:
    """The pod goes nowhere."""
    message = f"Failed to schedule pod, {why}"
    return Event(_of_pod(pod), "FailedScheduling", message, WARNING, (pod.meta.uid,), _FIVE_MINUTES)


def no_compatible_instance_types(pool: NodePool) -> Event:
    """Nothing can be bought for the pool."""
    message = "NodePool requirements filtered out all compatible available instance types"
    return Event(_of_pool(pool), "NoCompatibleInstanceTypes", message, WARNING, (pool.meta.uid,), _SHORT)


def plan_refused(pool: NodePool, fault: str) -> Event:
    """A plan that would have bought from the pool broke a rule."""
    message = f"Plan not acted on, it breaks a rule: {fault}"
    return Event(_of_pool(pool), "PlanRefused", message, WARNING, (pool.meta.uid,), _FIVE_MINUTES)


def zonal_shift(pool: NodePool, zone: str, zone_id: str, *, is_active: bool) -> Event:
    """No node is launched in one of the pool's zones, or is again."""
    reason, type_ = ("ZonalShiftActive", WARNING) if is_active else ("ZonalShiftCleared", NORMAL)
    told = "is shifted away from, no nodes are launched there" if is_active else "is not shifted away from any more"
    message = f"Zone {zone} ({zone_id}) {told}"
    return Event(_of_pool(pool), reason, message, type_, (pool.meta.uid, zone_id))


def insufficient_capacity(claim: NodeClaim, why: str) -> Event:
    """No machine was to be had for the claim."""
    message = f"NodeClaim {claim.name} event: {why}"
    return Event(_of_claim(claim), "InsufficientCapacityError", message, WARNING, (claim.meta.uid,))


def unregistered_taint_missing(claim: NodeClaim) -> Event:
    """The node came up open to pods."""
    message = (
        "Missing karpenter.sh/unregistered taint which prevents registration related race conditions on "
        "Karpenter-managed nodes"
    )
    return Event(_of_claim(claim), "UnregisteredTaintMissing", message, WARNING, (claim.meta.uid,))


def failed_consistency(claim: NodeClaim, issue: str) -> Event:
    """The node is less than the claim promised."""
    return Event(_of_claim(claim), "FailedConsistencyCheck", issue, WARNING, (claim.meta.uid, issue))


def deadline_of_claim(claim: NodeClaim, deadline: str) -> Event:
    """The claim's pods have until then."""
    message = f"All pods will be deleted by {deadline}"
    return Event(_of_claim(claim), "TerminationGracePeriodExpiring", message, WARNING, (claim.name,))


def deadline_of_node(node: Node, deadline: datetime) -> Event:
    """The node's pods have until then."""
    message = f"All pods will be deleted by {format_time(deadline)}"
    return Event(_of_node(node), "TerminationGracePeriodExpiring", message, WARNING, (node.name,))


def failed_draining(node: Node, why: str) -> Event:
    """The node cannot go yet."""
    return Event(_of_node(node), "FailedDraining", f"Failed to drain node, {why}", WARNING, (node.name,))


def eviction_refused(pod: Pod, why: str) -> Event:
    """The pod cannot go yet."""
    return Event(_of_pod(pod), "FailedDraining", f"Failed to drain node, {why}", WARNING, (pod.meta.name,))


def awaiting_volumes(node: Node, names: Sequence[str]) -> Event:
    """The machine waits for its volumes to be detached."""
    message = f"Awaiting deletion of bound volumeattachments ({_listed(names)})"
    return Event(_of_node(node), "AwaitingVolumeDetachment", message, NORMAL, (node.name,))


def evicted(pod: Pod, why: str) -> Event:
    """The pod was asked to go."""
    return Event(_of_pod(pod), "Evicted", f"Evicted pod: {why}", NORMAL, (pod.meta.name,))


def force_deleted(pod: Pod, deadline: datetime, grace_s: int) -> Event:
    """The pod was deleted past its budgets."""
    own = pod.spec.termination_grace_period_s
    message = (
        f"Deleting the pod to accommodate the terminationTime {format_time(deadline)} of the node. The pod was granted "
        f"{grace_s} seconds of grace-period of its {own} terminationGracePeriodSeconds. This bypasses the PDB of the "
        "pod and the do-not-disrupt annotation."
    )
    return Event(_of_pod(pod), "Disrupted", message, NORMAL, (pod.meta.name,))


def do_not_disrupt(pod: Pod, now: datetime) -> Event | None:
    """What the pod's do-not-disrupt annotation means now, where it has something to say."""
    text = pod.do_not_disrupt
    if text is None:
        return None
    try:
        length = parse_do_not_disrupt(text)
    except InvalidDoNotDisruptError as fault:
        message = f"Invalid karpenter.sh/do-not-disrupt annotation: {fault}, ignoring annotation"
        return Event(_of_pod(pod), "InvalidDoNotDisruptAnnotation", message, WARNING, (pod.meta.uid, message))
    if length is None or pod.started_at is None:
        return None
    until = pod.started_at + length
    if until > now:
        message = f"The karpenter.sh/do-not-disrupt grace period will elapse at {format_time(until)}"
        return Event(_of_pod(pod), "DoNotDisruptUntil", message, NORMAL, (pod.meta.uid, format_time(until)))
    message = "The karpenter.sh/do-not-disrupt grace period has elapsed"
    return Event(_of_pod(pod), "DoNotDisruptGracePeriodElapsed", message, NORMAL, (pod.meta.uid,))


def repair_blocked(node: Node, why: str, dedupe: str) -> Event:
    """Too many nodes are sick for one of them to be replaced."""
    return Event(_of_node(node), "NodeRepairBlocked", why, WARNING, (dedupe,), _LONG)


def waiting_on_claims(node_class: EC2NodeClass, names: Sequence[str]) -> Event:
    """The NodeClass cannot go before its claims."""
    about = ObjectReference(EC2_NODE_CLASS.api_version, EC2_NODE_CLASS.name, node_class.name, "", node_class.meta.uid)
    message = f"Waiting on NodeClaim termination for {_listed(names)}"
    return Event(about, "WaitingOnNodeClaimTermination", message, NORMAL, (node_class.meta.uid,))


def on_both(
    reason: str,
    state: StateNode,
    *,
    node: str,
    claim: str = "",
    type_: str = NORMAL,
    dedupe: tuple[str, ...] = (),
    dedupe_for: timedelta = _DEFAULT,
) -> Iterable[Event]:
    """The same event on a Node and on its NodeClaim; `claim` is its own sentence where that differs."""
    if state.node is not None:
        yield Event(_of_node(state.node), reason, node, type_, (state.node.meta.uid, *dedupe), dedupe_for)
    if state.claim is not None:
        about, uid = _of_claim(state.claim), state.claim.meta.uid
        yield Event(about, reason, claim or node, type_, (uid, *dedupe), dedupe_for)


def blocking_budget(pool: NodePool, why: str, reason: str) -> Event:
    """The pool's budget lets nothing go."""
    return Event(_of_pool(pool), "DisruptionBlocked", why, NORMAL, (pool.meta.uid, reason), _SHORT)


def launching(claim: NodeClaim, reason: str) -> Event:
    """The claim is a replacement on its way."""
    message = f"Launching NodeClaim: {reason}"
    return Event(_of_claim(claim), "DisruptionLaunching", message, NORMAL, (claim.meta.uid, reason))


def waiting_for_readiness(claim: NodeClaim) -> Event:
    """Others wait for this replacement."""
    message = "Waiting on readiness to continue disruption"
    return Event(_of_claim(claim), "DisruptionWaitingReadiness", message, NORMAL, (claim.meta.uid,))


def terminating(state: StateNode, reason: str) -> Iterable[Event]:
    """The node goes now."""
    return on_both(
        "DisruptionTerminating",
        state,
        node=f"Disrupting Node: {reason}",
        claim=f"Disrupting NodeClaim: {reason}",
        dedupe=(reason,),
    )


def blocked(state: StateNode, sentence: str) -> Iterable[Event]:
    """The node may not be disrupted."""
    return on_both("DisruptionBlocked", state, node=sentence)


def unconsolidatable(state: StateNode, sentence: str) -> Iterable[Event]:
    """The node may not be consolidated."""
    return on_both("Unconsolidatable", state, node=sentence, dedupe_for=_LONG)


def rejected(state: StateNode, sentence: str) -> Iterable[Event]:
    """A command for the node was not upheld."""
    return on_both("ConsolidationRejected", state, node=sentence, dedupe=(sentence,))


def consolidation_candidate(state: StateNode, described: str) -> Iterable[Event]:
    """The node is about to be exchanged, if a later look upholds it."""
    sentence = f"Consolidation candidate: {described}"
    return on_both("ConsolidationCandidate", state, node=sentence, dedupe=(sentence,))


def consolidation_approved(state: StateNode, score: str) -> Iterable[Event]:
    """What the node's leaving saves is worth the disruption to its pool."""
    return on_both("ConsolidationApproved", state, node=score)


def consolidation_of_pool_approved(pool: NodePool, score: str) -> Event:
    """What is saved by several nodes' leaving is worth the disruption to the pool."""
    return Event(_of_pool(pool), "ConsolidationApproved", score, NORMAL, (pool.meta.uid,))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(sorted(names)[:_NAMES_SHOWN])
    rest = len(names) - _NAMES_SHOWN
    return f"{shown} and {rest} other(s)" if rest > 0 else shown
