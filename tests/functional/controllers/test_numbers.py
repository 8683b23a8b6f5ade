"""Every metric that Karpenter documents is told: in one eventful hour here, or by the recorder that another test has."""

from datetime import timedelta
from pathlib import Path

import pytest

from nodesmith.adapters.memory.catalog import ZONES
from nodesmith.adapters.telemetry.catalog import METRICS
from nodesmith.adapters.telemetry.clusterstate import ClusterStateCollector
from nodesmith.adapters.telemetry.metrics import PrometheusMetrics
from nodesmith.adapters.telemetry.offered import OfferedCollector
from nodesmith.adapters.telemetry.readings import ReadingsCollector
from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.api.kinds import EC2_NODE_CLASS, NODE_POOL
from nodesmith.controllers.build import Controllers
from nodesmith.controllers.shell import Gates, Options
from nodesmith.decide.disrupt.policy import Policy
from nodesmith.decide.disrupt.verdict import Rejected, RejectionReason
from nodesmith.model.buffer import CapacityBuffer
from nodesmith.model.labels import INSTANCE_TYPE, ON_DEMAND
from nodesmith.plan.command import Command
from nodesmith.ports.log import NoLog
from nodesmith.ports.queue import InterruptionKind
from nodesmith.sim.clock import VirtualClock, run
from tests.functional.controllers.smallworld import NODE_CLASS, SmallWorld, node_pool

MINUTE = timedelta(minutes=1)
SPREAD = {
    "topologyKey": "kubernetes.io/hostname",
    "maxSkew": 1,
    "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": {"matchLabels": {"app": "web"}},
}
TESTS = Path(__file__).parents[2]
ELSEWHERE = {
    "aws_sdk_go_request_attempt_duration_seconds": "unit/adapters/aws/test_call_numbers.py",
    "aws_sdk_go_request_attempt_total": "unit/adapters/aws/test_call_numbers.py",
    "aws_sdk_go_request_duration_seconds": "unit/adapters/aws/test_call_numbers.py",
    "aws_sdk_go_request_retry_count": "unit/adapters/aws/test_call_numbers.py",
    "aws_sdk_go_request_total": "unit/adapters/aws/test_call_numbers.py",
    "build_info": "unit/adapters/telemetry/test_process.py",
    "client_go_request_duration_seconds": "unit/adapters/kubernetes/test_transport.py",
    "client_go_request_total": "unit/adapters/kubernetes/test_transport.py",
    "cloudprovider_batcher_batch_size": "unit/adapters/aws/test_call_numbers.py",
    "cloudprovider_batcher_batch_time_seconds": "unit/adapters/aws/test_call_numbers.py",
    "cloudprovider_duration_seconds": "unit/adapters/telemetry/test_cloud.py",
    "cloudprovider_errors_total": "unit/adapters/telemetry/test_cloud.py",
    "cloudprovider_instance_launch_failures_total": "functional/aws/test_numbers.py",
    "cloudprovider_instance_termination_failures_total": "functional/aws/test_numbers.py",
    "controller_runtime_reconcile_errors_total": "unit/controllers/test_controller.py",
    "ec2nodeclasses_userdata_bytes": "functional/aws/test_numbers.py",
    "interruption_instance_status_unhealthy_total": "functional/controllers/test_interruptions.py",
    "leader_election_master_status": "unit/adapters/kubernetes/test_lease.py",
    "nodeclaims_unhealthy_disrupted_total": "functional/controllers/test_moving.py",
    "nodepools_cost_tracker_errors_total": "unit/controllers/test_told.py",
    "operator_capacitybuffer_status_condition_transition_seconds": "unit/controllers/test_told.py",
    "operator_capacitybuffer_status_condition_transitions_total": "unit/controllers/test_told.py",
    "operator_capacitybuffer_termination_duration_seconds": "unit/controllers/test_told.py",
    "operator_ec2nodeclass_status_condition_transition_seconds": "unit/controllers/test_told.py",
    "operator_ec2nodeclass_status_condition_transitions_total": "unit/controllers/test_told.py",
    "operator_nodepool_termination_duration_seconds": "unit/controllers/test_told.py",
    "pods_provisioning_scheduling_undecided_time_seconds": "unit/controllers/test_told.py",
    "scheduler_refused_plans_total": "functional/controllers/test_guard.py",
    "voluntary_disruption_consolidation_timeouts_total": "functional/controllers/test_numbers.py",
    "voluntary_disruption_failed_validations_total": "functional/controllers/test_numbers.py",
}
"""The test that has the recorder of a metric that such an hour does not need."""


def full_names(world: SmallWorld, metrics: PrometheusMetrics) -> set[str]:
    """Everything that was recorded, and everything that the collectors told."""
    recorded = {name for name, _ in (*world.metrics.counts, *world.metrics.gauges, *world.metrics.observations)}
    by_name = {metric.name: metric.full_name for metric in METRICS}
    text, _ = metrics.text()
    told = {line.split()[2] for line in text.decode().splitlines() if line.startswith("# TYPE ")}
    return {by_name[name] for name in recorded} | told


def collectors(world: SmallWorld, controllers: Controllers) -> PrometheusMetrics:
    metrics, store = PrometheusMetrics(world.clock, NoLog()), controllers.store
    metrics.add(
        ClusterStateCollector(
            lambda: store.snapshot(world.clock.now()),
            lambda: store.all(EC2NodeClass),
            lambda: store.all(CapacityBuffer),
        )
    )
    metrics.add(ReadingsCollector(controllers.fleet.readings))
    metrics.add(OfferedCollector(controllers.fleet.offered))
    return metrics


async def _an_hour(world: SmallWorld) -> set[str]:
    """Machines come and go for every reason there is."""
    requirements = [
        {"key": INSTANCE_TYPE, "operator": "In", "values": ["m7g.large", "m7g.4xlarge"]},
        {"key": "karpenter.sh/capacity-type", "operator": "In", "values": [ON_DEMAND]},
    ]
    disruption = {"consolidateAfter": "30s", "consolidationPolicy": "Balanced", "budgets": [{"nodes": "100%"}]}
    world.apply(NODE_CLASS, node_pool(requirements=requirements, disruption=disruption, limits={"cpu": "100"}))
    async with world.running(), world.controlled(Options(cluster_name="small", gates=Gates(node_repair=True))) as made:
        metrics = collectors(world, made)
        volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "missing"}}]
        world.app("stuck", 1, spec={"volumes": volumes})
        world.app("big", 1, cpu="12")
        world.app("small", 1)
        await world.until(lambda: sum(pod.phase == "Running" for pod in world.pods()) == 2)
        metrics.look()
        found = full_names(world, metrics)
        world.app("big", 0)
        for zone in ZONES:
            world.cloud.left["m7g.large", zone, ON_DEMAND] = 0
        await world.until(lambda: world.metrics.total("voluntary_disruption_queue_failures_total") > 0)
        world.cloud.left.clear()
        await world.until(lambda: world.metrics.total("nodeclaims_disrupted_total", reason="underutilized") > 0)
        await world.until(lambda: len(world.machines()) == 1, within=30 * MINUTE)
        world.queue.send(InterruptionKind.SPOT_INTERRUPTED, world.machines()[0].machine.provider_id.rsplit("/", 1)[-1])
        await world.until(lambda: world.metrics.total("interruption_deleted_messages_total") > 0)
        await world.pass_time(5 * MINUTE)
        world.server.delete(EC2_NODE_CLASS, "default")
        world.server.delete(NODE_POOL, "default")
        await world.until(lambda: not world.machines(), within=30 * MINUTE)
        await world.pass_time(MINUTE)
        metrics.look()
        return found | full_names(world, metrics)


def test_every_metric_is_told() -> None:
    async def story(clock: VirtualClock) -> None:
        found = await _an_hour(SmallWorld(clock))
        left = {metric.name for metric in METRICS if metric.full_name not in found}
        assert left - ELSEWHERE.keys() == set()

    run(story)


@pytest.mark.parametrize(("name", "file"), ELSEWHERE.items(), ids=ELSEWHERE)
def test_what_is_told_elsewhere_is_tested_there(name: str, file: str) -> None:
    assert name in (TESTS / file).read_text()


def test_a_command_that_is_not_upheld_is_a_failed_validation() -> None:
    def refuse(command: Command, *_: object, **__: object) -> Command | Rejected:
        return Rejected(RejectionReason.CHURN, f"{command.nodes} moved on")

    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        world.apply(NODE_CLASS, node_pool())
        async with world.running(), world.controlled(validate=refuse):
            world.app("web", 1)
            await world.until(world.all_running)
            world.app("web", 0)
            await world.until(lambda: world.metrics.total("voluntary_disruption_failed_validations_total") > 0)
            assert world.machines()

    run(story)


def test_consolidation_that_has_no_time_says_so() -> None:
    async def story(clock: VirtualClock) -> None:
        world = SmallWorld(clock)
        spread = {"topologySpreadConstraints": [SPREAD]}
        world.apply(NODE_CLASS, node_pool())
        options = Options(cluster_name="small", policy=Policy(effort=1))
        async with world.running(), world.controlled(options):
            world.app("web", 5, spec=spread)
            await world.until(world.all_running)
            name = "voluntary_disruption_consolidation_timeouts_total"
            await world.until(lambda: world.metrics.total(name) > 0)

    run(story)
