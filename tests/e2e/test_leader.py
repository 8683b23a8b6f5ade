"""Two replicas on a real API server: one leads, and whoever was deposed changes nothing any more."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from nodesmith.api.meta import parse_time
from tests.e2e.audit import entries
from tests.e2e.controller import ControllerProcess
from tests.e2e.controlplane import CONTROLLER_USER
from tests.e2e.stage import Stage

LEASE: Final = "karpenter-leader-election"
READING: Final = {"get", "list", "watch"}
AT_ONCE_S: Final = 5.0
LEASE_S: Final = 15.0


@contextmanager
def second(stage: Stage, name: str) -> Iterator[ControllerProcess]:
    """Another replica that waits its turn; in the end it is gone, and the stage's own one leads again."""
    replica = stage.replica(name)
    replica.start()
    try:
        stage.wait(lambda: replica.ask("/readyz", port=replica.probe_port), within_s=60, what="the second is ready")
        assert not replica.said("became leader")
        yield replica
    finally:
        if replica.is_alive:
            replica.thaw()
            replica.terminate()
        if not stage.controller.is_alive:
            times = len(stage.controller.said("became leader"))
            stage.controller.start()
            stage.controller.wait_until_leading(times=times + 1)


def seconds_until(said: ControllerProcess, message: str, *, within_s: float) -> float:
    began = time.monotonic()
    while not said.said(message):
        assert time.monotonic() - began < within_s, said.tail()
        time.sleep(0.05)  # noqa: TID251 - another process is waited for
    return time.monotonic() - began


def writes_of(stage: Stage, name: str, *, since: datetime) -> list[dict[str, Any]]:
    """What a replica wrote from then on, by the audit log."""
    return [
        entry
        for entry in entries(stage.plane.audit_log, user=CONTROLLER_USER)
        if f"({name}_nodesmith-" in entry["userAgent"]
        and entry["verb"] not in READING
        and (parse_time(entry["requestReceivedTimestamp"]) or since) > since
    ]


def test_asked_to_stop_the_leader_hands_over_at_once(stage: Stage) -> None:
    with second(stage, "heir") as heir:
        assert stage.controller.terminate() == 0
        assert seconds_until(heir, "became leader", within_s=30) < AT_ONCE_S


def test_after_a_crash_the_lease_runs_out(stage: Stage) -> None:
    with second(stage, "survivor") as survivor:
        stage.controller.kill()
        assert seconds_until(survivor, "became leader", within_s=60) < LEASE_S + AT_ONCE_S


def test_a_frozen_leader_writes_nothing_when_it_wakes(stage: Stage) -> None:
    pod = {"containers": [{"name": "main", "image": "x", "resources": {"requests": {"cpu": "1"}}}]}
    template = {"metadata": {"labels": {"app": "frozen"}}, "spec": pod}
    spec = {"replicas": 20, "selector": {"matchLabels": {"app": "frozen"}}, "template": template}
    app = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "frozen", "namespace": "default"}}
    with second(stage, "deputy") as deputy:
        stage.apply({**app, "spec": spec})
        # In the middle of collecting pods for a plan.
        time.sleep(1.0)  # noqa: TID251 - the process that is frozen goes by this very clock
        stage.controller.freeze()
        took = seconds_until(deputy, "became leader", within_s=60)
        assert took < LEASE_S + AT_ONCE_S
        woken = datetime.now(UTC)  # noqa: TID251 - the API server's audit log goes by this very clock
        stage.controller.thaw()
        process = stage.controller.process
        assert process is not None
        assert process.wait(30) != 0, "it ends, and is started anew"
        assert [(each["verb"], each["requestURI"]) for each in writes_of(stage, "controller", since=woken)] == []
        assert stage.controller.said("leader election lost")
    stage.kubectl("delete", "deployment", "frozen", "--namespace=default")


@pytest.mark.parametrize("namespace", ["kube-system", "default"])
def test_beside_a_karpenter_that_leads_nothing_is_started(stage: Stage, namespace: str) -> None:
    stage.controller.terminate()
    holder = "karpenter-5b9f7c-x2x4v_0f6b1c1e-7f0c-4c55-8f5e-2f8f6c1b7d11"
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 1}
    metadata = {"name": LEASE, "namespace": namespace}
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}

    def renew() -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")  # noqa: TID251 - as a Karpenter would
        manifest = json.dumps({**lease, "spec": {**spec, "renewTime": now}})
        stage.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=manifest)

    renew()
    beside = stage.replica(f"beside-{namespace}")
    beside.start()
    try:
        assert beside.process is not None
        while beside.process.poll() is None:
            renew()
            time.sleep(1)  # noqa: TID251 - a Karpenter renews every two seconds
        assert beside.process.returncode == 1
        assert holder in beside.tail()
        assert not beside.said("became leader")
        assert writes_of(stage, beside.name, since=datetime.fromtimestamp(0, UTC)) == []
    finally:
        stage.kubectl("delete", "lease", LEASE, f"--namespace={namespace}")
        times = len(stage.controller.said("became leader"))
        stage.controller.start()
        stage.controller.wait_until_leading(times=times + 1)
