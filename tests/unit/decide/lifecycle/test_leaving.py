from datetime import timedelta
from typing import Any

import pytest

from nodesmith.api.kinds import PERSISTENT_VOLUME_CLAIM, VOLUME_ATTACHMENT
from nodesmith.decide.lifecycle.drain import grace_left, next_drain
from nodesmith.decide.lifecycle.termination import (
    blocking_attachments,
    deadline_of,
    deadline_to_write,
    disruption_patch,
    restoring_patch,
)
from nodesmith.model.pod import Pod
from nodesmith.state.snapshot import Storage
from tests.unit.decide.lifecycle.making import NOW, ago, claim, later, node, pod

CRITICAL = {"priorityClassName": "system-node-critical"}
DAEMON = {"ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "d"}]}
MIRROR = {"ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "n"}]}
TOLERANT = {"tolerations": [{"operator": "Exists"}]}
PINNED = {"annotations": {"karpenter.sh/do-not-disrupt": "true"}}
GOING = {"deletionTimestamp": later(seconds=10), "deletionGracePeriodSeconds": 30}


def _names(pods: Any) -> list[str]:
    return [each.meta.name for each in pods]


def test_tiers_go_one_after_the_other() -> None:
    pods = [
        pod("critical-daemon", meta=DAEMON, spec=CRITICAL),
        pod("critical", spec=CRITICAL),
        pod("daemon", meta=DAEMON),
        pod("plain"),
    ]
    order = []
    while pods:
        step = next_drain(pods, deadline=None, now=NOW)
        order.append(_names(step.evict))
        pods = [each for each in pods if each not in step.evict]
    assert order == [["plain"], ["daemon"], ["critical"], ["critical-daemon"]]


def test_a_tier_waits_until_its_last_pod_is_gone() -> None:
    step = next_drain([pod("plain", meta=GOING), pod("critical", spec=CRITICAL)], deadline=None, now=NOW)
    assert not step.evict
    assert _names(step.waiting) == ["critical", "plain"]


@pytest.mark.parametrize(
    "kept",
    [
        pod(meta=MIRROR),
        pod(spec=TOLERANT),
        pod(spec={"tolerations": [{"key": "karpenter.sh/disrupted", "operator": "Exists"}]}),
        pod(status={"phase": "Succeeded"}),
        pod(meta={**GOING, "deletionTimestamp": ago(minutes=2)}),
    ],
    ids=["mirror", "tolerates-all", "tolerates-disrupted", "ended", "stuck"],
)
def test_some_pods_are_not_in_the_way(kept: Pod) -> None:
    assert next_drain([kept], deadline=None, now=NOW).is_drained


def test_a_protected_pod_is_waited_for_and_not_evicted() -> None:
    step = next_drain([pod(meta=PINNED)], deadline=None, now=NOW)
    assert not step.evict
    assert _names(step.protected) == ["pod"]
    assert not step.is_drained


def test_a_protection_that_has_a_time_ends() -> None:
    timed = {"annotations": {"karpenter.sh/do-not-disrupt": "10m"}}
    young = pod(meta=timed, status={"startTime": ago(minutes=5)})
    old = pod(meta=timed, status={"startTime": ago(minutes=11)})
    assert not next_drain([young], deadline=None, now=NOW).evict
    assert next_drain([old], deadline=None, now=NOW).evict


@pytest.mark.parametrize(
    ("left_s", "grace_s", "is_forced"), [(61, 60, False), (59, 60, True), (31, 30, False), (-5, 30, True)]
)
def test_pods_are_deleted_in_time_to_keep_their_grace(left_s: int, grace_s: int, is_forced: bool) -> None:  # noqa: FBT001 - a table
    each = pod(meta=PINNED, spec={"terminationGracePeriodSeconds": grace_s})
    step = next_drain([each], deadline=NOW + timedelta(seconds=left_s), now=NOW)
    assert bool(step.force) == is_forced
    if is_forced:
        assert step.force[0].grace_s == max(left_s, 1)


def test_all_tiers_are_forced_at_once_and_what_goes_in_time_is_left() -> None:
    deadline = NOW + timedelta(seconds=20)
    pods = [
        pod("critical", spec=CRITICAL),
        pod("plain"),
        pod("in-time", meta=GOING),
        pod("too-late", meta={**GOING, "deletionTimestamp": later(seconds=25)}),
    ]
    step = next_drain(pods, deadline=deadline, now=NOW)
    assert _names(each.pod for each in step.force) == ["critical", "plain", "too-late"]
    assert not step.evict


def test_grace_is_whole_seconds_and_at_least_one() -> None:
    assert grace_left(NOW + timedelta(seconds=20.9), NOW) == 20
    assert grace_left(NOW - timedelta(seconds=20), NOW) == 1


def test_a_deadline_is_written_once() -> None:
    going = {"deletionTimestamp": ago(minutes=1), "deletionGracePeriodSeconds": 0}
    spec = {"terminationGracePeriod": "10m"}
    assert deadline_to_write(claim(meta=going, spec=spec)) == later(minutes=9)
    assert deadline_to_write(claim(spec=spec)) is None
    assert deadline_to_write(claim(meta=going)) is None
    told = {"annotations": {"karpenter.sh/nodeclaim-termination-timestamp": later(hours=1)}}
    assert deadline_to_write(claim(meta={**going, **told}, spec=spec)) is None
    assert deadline_of(claim(meta=told)) == NOW + timedelta(hours=1)
    assert deadline_of(claim()) is None
    assert deadline_of(None) is None


def test_the_taint_replaces_others_of_its_key_and_goes_without_a_trace() -> None:
    other = {"key": "karpenter.sh/disrupted", "effect": "NoExecute"}
    own = {"key": "dedicated", "effect": "NoSchedule"}
    patch = disruption_patch(node(spec={"taints": [other, own]}), is_leaving=True)
    assert patch == {
        "spec": {"taints": [own, {"key": "karpenter.sh/disrupted", "effect": "NoSchedule"}]},
        "metadata": {"labels": {"node.kubernetes.io/exclude-from-external-load-balancers": "karpenter"}},
    }
    tainted = node(spec={"taints": [{"key": "karpenter.sh/disrupted", "effect": "NoSchedule"}, own]})
    assert disruption_patch(tainted, is_leaving=False) is None
    assert restoring_patch(tainted) == {"spec": {"taints": [own]}}
    assert restoring_patch(node()) is None


def test_volumes_of_pods_that_stay_do_not_hold_the_machine() -> None:
    def attachment(name: str, volume: str, on: str = "node") -> Any:
        source = {"persistentVolumeName": volume} if volume else {}
        return VOLUME_ATTACHMENT.decode({"metadata": {"name": name}, "spec": {"nodeName": on, "source": source}})

    volume_claim = PERSISTENT_VOLUME_CLAIM.decode(
        {"metadata": {"name": "data", "namespace": "default"}, "spec": {"volumeName": "pv-kept"}}
    )
    storage = Storage(
        claims={"default/data": volume_claim},
        attachments=(
            attachment("kept", "pv-kept"),
            attachment("waited-for", "pv-other"),
            attachment("elsewhere", "pv-other", on="other"),
            attachment("inline", ""),
        ),
    )
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
    stays = pod(spec={**TOLERANT, "volumes": volumes})
    assert [each.meta.name for each in blocking_attachments(node(), [stays], storage, NOW)] == ["waited-for"]
    goes = pod(spec={"volumes": volumes})
    assert [each.meta.name for each in blocking_attachments(node(), [goes], storage, NOW)] == ["kept", "waited-for"]
