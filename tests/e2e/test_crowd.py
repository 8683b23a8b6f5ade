"""Five hundred pods pend at once: how long until all run, and how much of that is nodesmith's.

`make e2e ARGS="-k five_hundred -s"` prints the table of docs/reference/performance.md.
"""

import sys
import time
from dataclasses import dataclass, field
from typing import Final

from nodesmith.api.kind import Manifest
from tests.e2e.mirror import condition, is_true
from tests.e2e.share import PLANNED, Meter, Span, cpu_s, now_s, spans
from tests.e2e.stage import Stage
from tests.e2e.yard import CASE, NODE_CLASS, Yard, needs, node_class

SIZES: Final = (("250m", "512Mi"), ("500m", "1Gi"), ("900m", "3500Mi"), ("1500m", "2Gi"), ("2", "7Gi"))
EACH: Final = 100
MOST_SHARE_S: Final = 2.0
"""Of nodesmith's processor time from the pods that it found to the claims that it made for them, in all batches."""
MOST_CPU_S: Final = 8.0
"""Of its processor time in all, beside what each plan takes."""
PLAN_S: Final = 1.0
"""Where the machine is busy, pods become known in more than one batch, and each is planned for."""


@dataclass
class Watch:
    """When things were first and last seen to happen, in seconds since the beginning."""

    began: float = field(default_factory=time.monotonic)
    first: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    seen: set[tuple[str, str]] = field(default_factory=set)
    joined: dict[str, float] = field(default_factory=dict)
    """When each node joined, by the time of day."""

    def hear(self, kind: str, key: str, before: Manifest | None, after: Manifest | None) -> None:
        """A change of the cluster."""
        if after is None:
            return
        for step in _steps(kind, after):
            if (step, key) not in self.seen:
                self.seen.add((step, key))
                now = time.monotonic() - self.began
                self.first.setdefault(step, now)
                self.last[step] = now
                if step == "node joined":
                    self.joined[key] = now_s()


def _steps(kind: str, manifest: Manifest) -> list[str]:
    """What the object shows to have happened."""
    if kind == "Pod" and manifest["metadata"]["namespace"] == "crowd":
        steps = {
            "pod made": True,
            "pod refused": condition(manifest, "PodScheduled").get("reason") == "Unschedulable",
            "pod bound": manifest["spec"].get("nodeName"),
            "pod runs": is_true(manifest, "Ready"),
        }
    elif kind == "NodeClaim" and manifest["metadata"]["labels"].get(CASE) == "crowd":
        steps = {
            "claim made": True,
            "claim launched": is_true(manifest, "Launched"),
            "claim registered": is_true(manifest, "Registered"),
            "claim initialized": is_true(manifest, "Initialized"),
        }
    elif kind == "Node" and "unregistered" in str(manifest["spec"].get("taints")):
        steps = {"node joined": True}
    else:
        return []
    return [step for step, has_happened in steps.items() if has_happened]


def test_five_hundred_pods(stage: Stage) -> None:
    stage.apply(node_class(NODE_CLASS, stage))
    yard = Yard(stage, "crowd")
    stage.loop.call(yard.open())
    requirements = [
        needs("kubernetes.io/arch", "arm64", "amd64"),
        needs("karpenter.k8s.aws/instance-category", "c", "m", "r"),
        needs("karpenter.sh/capacity-type", "spot", "on-demand"),
    ]
    stage.loop.call(yard.pool(template={"spec": {"requirements": requirements}}))
    stage.wait(lambda: is_true({"status": yard.pool_status()}, "Ready"), within_s=30)
    process = stage.controller.process
    assert process is not None
    watch, used = Watch(), cpu_s(process.pid)
    stage.mirror.listeners.append(watch.hear)
    with Meter(process.pid) as meter:
        for number, (cpu, memory) in enumerate(SIZES):
            stage.loop.call(yard.deployment(f"size-{number}", replicas=EACH, cpu=cpu, memory=memory))
        stage.loop.call(yard.until_running(EACH * len(SIZES), within_s=300))
        took, used = time.monotonic() - watch.began, cpu_s(process.pid) - used
    stage.mirror.listeners.remove(watch.hear)
    lines = stage.controller.lines()
    waited = spans(lines, meter, watch.joined)
    _tell(stage, watch, took, used, waited)
    stage.loop.call(yard.clear(within_s=240))
    stage.kubectl("delete", "ec2nodeclass", NODE_CLASS, "--timeout=60s")
    plans = sum(each["message"] == "found provisionable pod(s)" for each in lines)
    assert sum(each.used_s for each in waited if each.name == PLANNED) < MOST_SHARE_S
    assert used < MOST_CPU_S + PLAN_S * plans


def _planned(stage: Stage) -> list[str]:
    """Each plan that was made, and how long the planning took."""
    lines = [each["message"] for each in stage.controller.lines() if each["message"].startswith("computed new")]
    sums = [line for line in stage.controller.metrics().splitlines() if "scheduling_duration_seconds_sum" in line]
    return [*lines, *sums]


def _tell(stage: Stage, watch: Watch, took: float, used: float, waited: list[Span]) -> None:
    count = EACH * len(SIZES)
    nodes = len(watch.joined)
    lines = [
        f"{count} pods on {nodes} nodes: all run after {took:.1f} s, of which nodesmith used {used:.2f} s of a core"
    ]
    steps = sorted(watch.last, key=watch.last.__getitem__)
    lines += [f"  {step:18} first {watch.first[step]:6.2f} s   last {watch.last[step]:6.2f} s" for step in steps]
    lines += [
        f"  {each.name:22} {each.took_s:5.2f} s, nodesmith used {each.used_s:5.2f} s of a core" for each in waited
    ]
    lines += [f"  {each}" for each in _planned(stage)]
    sys.stdout.write("\n" + "\n".join(lines) + "\n")
