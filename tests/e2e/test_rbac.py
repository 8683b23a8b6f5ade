"""The chart grants what the controller asks for, verb by verb: nothing is missing, and nothing is more."""

from nodesmith.api.kinds import EC2_NODE_CLASS
from tests.e2e.audit import refused, verbs
from tests.e2e.cases.leaving import BLOCKED, SMALL
from tests.e2e.controlplane import CONTROLLER_USER
from tests.e2e.roles import granted
from tests.e2e.stage import Stage
from tests.e2e.yard import Yard


async def _everything_once(yard: Yard) -> None:
    """A machine comes and expires, one pod is evicted, one that nothing may move is deleted at its deadline, all goes."""
    node_class = await yard.node_class("own")
    await yard.pool(
        template={
            "spec": {
                **SMALL,
                "nodeClassRef": {"name": node_class},
                "terminationGracePeriod": "8s",
                "expireAfter": "45s",
            }
        },
        disruption={"consolidateAfter": "0s"},
    )
    await yard.deployment("moves", cpu="200m")
    await yard.deployment(
        "stays", cpu="200m", pod={"metadata": {"annotations": {"karpenter.sh/do-not-disrupt": "true"}}}
    )
    await yard.budget("keep", "stays", **BLOCKED)
    await yard.until_running(1, "moves")
    await yard.until_running(1, "stays")
    claim = yard.claim()["metadata"]["name"]
    await yard.until(lambda: claim not in yard.claims(), within_s=120, what="the claim is gone")
    await yard.clear()
    await yard.until(lambda: not yard.stage.mirror.get(EC2_NODE_CLASS, node_class), what="the class is gone")


def test_no_verb_is_missing_and_none_is_unused(stage: Stage) -> None:
    yard = Yard(stage, "rbac")
    stage.loop.call(yard.open())
    stage.loop.call(_everything_once(yard))
    asked, allowed = verbs(stage.plane.audit_log, user=CONTROLLER_USER), granted(stage, "karpenter")
    assert refused(stage.plane.audit_log, user=CONTROLLER_USER) == set()
    assert asked - allowed == set(), "missing"
    assert allowed - asked == set(), "unused"
