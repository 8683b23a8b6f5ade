"""The controller process: the controllers over a real API server and AWS, one leader, probes and metrics.

The one thing to know: the lease is given back last. When asked to stop, everything that writes is cancelled first; when
the lease is lost, everything ends, and Kubernetes starts the process anew.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

from aiohttp import web

from nodesmith.adapters import allocator
from nodesmith.adapters.apart import SharedEvent, apart
from nodesmith.adapters.aws.blocking import Threads
from nodesmith.adapters.aws.client import Clients
from nodesmith.adapters.aws.cloud import AwsCloud
from nodesmith.adapters.aws.settings import AwsSettings
from nodesmith.adapters.clock import RealClock, Stopwatch
from nodesmith.adapters.kubernetes.cluster import KubernetesCluster, always
from nodesmith.adapters.kubernetes.events import EventWriter
from nodesmith.adapters.kubernetes.kubeconfig import Connection
from nodesmith.adapters.kubernetes.lease import Elector, LeaseTerms
from nodesmith.adapters.kubernetes.rival import refuse_rivals
from nodesmith.adapters.kubernetes.transport import Limits, Transport
from nodesmith.adapters.scenarios import FolderScenarios
from nodesmith.adapters.telemetry import profiling
from nodesmith.adapters.telemetry.cloud import MeteredCloud
from nodesmith.adapters.telemetry.clusterstate import ClusterStateCollector
from nodesmith.adapters.telemetry.health import Answer, HttpServer, metrics_server, probe_server
from nodesmith.adapters.telemetry.metrics import PrometheusMetrics
from nodesmith.adapters.telemetry.offered import OfferedCollector
from nodesmith.adapters.telemetry.process import tell_process
from nodesmith.adapters.telemetry.readings import ReadingsCollector
from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.api.kinds import SERVICE
from nodesmith.controllers.batcher import BatchWindow
from nodesmith.controllers.build import Controllers, build, new_store
from nodesmith.controllers.controller import Service
from nodesmith.controllers.decisions import Decisions
from nodesmith.controllers.ports import Ports
from nodesmith.controllers.shell import Gates, Options
from nodesmith.controllers.supervisor import supervise
from nodesmith.decide.disrupt.decide import decide, validate
from nodesmith.decide.disrupt.policy import Policy
from nodesmith.decide.schedule.allowance import improving_time
from nodesmith.decide.schedule.checked import Solve
from nodesmith.decide.schedule.problem import MinValuesPolicy, PreferencePolicy, PricingPolicy, Problem
from nodesmith.decide.schedule.problem import Options as ScheduleOptions
from nodesmith.decide.schedule.solve import schedule
from nodesmith.model.buffer import CapacityBuffer
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.plan.schedule import SchedulePlan
from nodesmith.ports.clock import Clock
from nodesmith.ports.cluster import Cluster
from nodesmith.ports.errors import PortError
from nodesmith.ports.log import Log
from nodesmith.ports.scenarios import Scenarios
from nodesmith.settings import Settings
from nodesmith.state.store import Store

MAINTAIN_EVERY: Final = timedelta(seconds=30)
COLLECT_AFTER: Final = (50_000, 10, 100)
"""Objects made and not yet gone: a large cluster's snapshot is thousands, none of which is garbage."""
WORKERS_A_CORE: Final = 10
DEFAULT_NAMESPACE: Final = "kube-system"


class LeadershipLostError(RuntimeError):
    """Another process may be leading: this one must not go on."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the process finds where it is started."""

    settings: Settings
    connection: Connection
    clients: Clients
    region: str
    identity: str
    log: Log
    clock: Clock = field(default_factory=RealClock)


async def run_controller(around: Surroundings, stop: asyncio.Event) -> None:
    """Run until `stop` is set.

    Raises:
        RivalLeadsError: when a Karpenter leads this cluster.
        PortError: when AWS cannot be reached, or the permissions to look around are missing.
        ExceptionGroup: when a part failed, or the leadership was lost.
    """
    allocator.hold_less()
    settings, clock = around.settings, around.clock
    metrics = PrometheusMetrics(clock, around.log)
    tell_process(metrics)
    limits = Limits(per_second=settings.kube_client_qps, burst=settings.kube_client_burst)
    threads = Threads()
    try:
        async with Transport(around.connection, clock, limits, user_agent(around), metrics=metrics) as transport:
            terms = lease_terms(settings)
            await refuse_rivals(KubernetesCluster(transport), clock, terms)
            lease_transport = Transport(around.connection, clock, user_agent=user_agent(around))
            elector = _elector(around, KubernetesCluster(lease_transport), terms, metrics)
            cluster = KubernetesCluster(transport, may_write=always if elector is None else elector.is_leading)
            controllers, acting = await _assemble(around, cluster, threads, metrics)
            async with _leading(elector, lease_transport) as elected:
                await supervise(_services(settings, controllers, acting, metrics, elected), stop)
    finally:
        threads.close()


async def _assemble(
    around: Surroundings, cluster: KubernetesCluster, threads: Threads, metrics: PrometheusMetrics
) -> tuple[Controllers, _Acting]:
    """The controllers over the real outside, and everything that acts beside them."""
    clock, log = around.clock, around.log
    options = options_of(around.settings)
    store = new_store(options)
    aws = AwsCloud(
        await _aws_settings(around, cluster),
        clients=around.clients,
        objects=StoredObjects(store),
        clock=clock,
        run_blocking=threads,
        metrics=metrics,
        may_write=cluster.may_write,
        log=log,
        ask_version=None if around.settings.eks_control_plane else cluster.version,
    )
    await aws.start()
    events = EventWriter(cluster, clock, log)
    ports = Ports(
        cluster=cluster,
        cloud=MeteredCloud(aws, clock, metrics),
        clock=clock,
        events=events,
        metrics=metrics,
        log=log,
        queue=aws.queue(),
        sick_instances=aws.sick_instances,
        learn_memory=aws.learn_memory,
        zonal_shifts=aws.zonal_shift.shifted_zones if around.settings.enable_zonal_shift else None,
        scenarios=_scenarios(around.settings),
    )
    rng = random.Random()  # noqa: S311 - spreads retries and makes up names; nothing is secret
    solve = solver(around.settings.pricing_deadline)
    controllers = build(ports, options, solve=solve, decide=decide, validate=validate, rng=rng, store=store)
    if not around.settings.disable_cluster_state_observability:
        metrics.add(
            ClusterStateCollector(
                lambda: store.snapshot(clock.now()), lambda: store.all(EC2NodeClass), lambda: store.all(CapacityBuffer)
            )
        )
    metrics.add(ReadingsCollector(controllers.fleet.readings))
    metrics.add(OfferedCollector(controllers.fleet.offered))
    return controllers, _Acting(controllers, {"events": events, "aws-upkeep": _Upkeep(aws, clock, log)})


def solver(deadline: timedelta | None) -> Solve:
    """The scheduler, which improves a plan for so long at most; None: as long as its pods are worth."""

    def solve(problem: Problem) -> SchedulePlan:
        allowed = improving_time(len(problem.pods)) if deadline is None else deadline
        return schedule(problem, is_time_up=Stopwatch(allowed))

    return solve


def settle_memory() -> None:
    """The collector leaves alone what was listed: walking a large cluster takes 100 ms each time."""
    gc.collect()
    allocator.give_back()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def user_agent(around: Surroundings) -> str:
    """Who asks, for the API server's audit log: each replica by its own name."""
    return f"nodesmith/{version('nodesmith')} ({around.identity})"


def options_of(settings: Settings) -> Options:
    """The controllers' part of the settings."""
    schedule_options = ScheduleOptions(
        preferences=PreferencePolicy(settings.preference_policy),
        min_values=MinValuesPolicy(settings.min_values_policy),
        pricing=PricingPolicy(settings.pricing_policy),
        spot_risk=settings.pricing_spot_risk,
        default_spread=settings.scheduler_config,
    )
    gates = settings.feature_gates
    return Options(
        cluster_name=settings.cluster_name,
        batch=BatchWindow(settings.batch.idle, settings.batch.longest),
        schedule=schedule_options,
        policy=Policy(
            options=schedule_options,
            spot_to_spot=gates.spot_to_spot_consolidation,
            return_to_spot=gates.return_to_spot,
        ),
        gates=Gates(
            node_repair=gates.node_repair,
            static_capacity=gates.static_capacity,
            node_overlay=gates.node_overlay,
            capacity_buffer=gates.capacity_buffer,
        ),
        workers=WORKERS_A_CORE * max(1, settings.cpu_requests // 1000),
        observes_state=not settings.disable_cluster_state_observability,
        nominates=settings.nominate_pods,
        ignores_resource_claims=settings.ignore_dra_requests,
    )


def _scenarios(settings: Settings) -> Scenarios | None:
    return FolderScenarios(Path(settings.scenario_folder)) if settings.scenario_folder else None


async def _aws_settings(around: Surroundings, cluster: Cluster) -> AwsSettings:
    """The AWS side's part of the settings, with what the cluster knows of itself."""
    settings = around.settings
    ca = base64.b64encode(around.connection.ca).decode() if around.connection.ca else ""
    return AwsSettings(
        cluster_name=settings.cluster_name,
        region=around.region,
        cluster_endpoint=settings.cluster_endpoint,
        ca_bundle=settings.cluster_ca_bundle or ca,
        dns_ip=await _dns_ip(cluster, around.log),
        interruption_queue=settings.interruption_queue,
        is_isolated_vpc=settings.isolated_vpc,
        vm_memory_overhead_percent=settings.vm_memory_overhead_percent,
        reserved_enis=settings.reserved_enis,
        is_dry_run_disabled=settings.disable_dry_run,
        is_zonal_shift_enabled=settings.enable_zonal_shift,
        is_reserved_capacity_enabled=settings.feature_gates.reserved_capacity,
        is_cel_enabled=settings.aws_feature_gates.node_class_cel,
        image_refresh=settings.ami_refresh_interval,
        subnet_refresh=settings.subnet_refresh_interval,
        security_group_refresh=settings.security_group_refresh_interval,
    )


async def _dns_ip(cluster: Cluster, log: Log) -> str:
    try:
        service = await cluster.get(SERVICE, "kube-dns", namespace="kube-system")
    except PortError as error:
        log.info("cluster DNS address is not known, nodes work it out", error=str(error))
        return ""
    return str((service.get("spec") or {}).get("clusterIP") or "")


def lease_terms(settings: Settings) -> LeaseTerms:
    """Where the leader's lease is."""
    namespace = settings.leader_election_namespace or settings.system_namespace or DEFAULT_NAMESPACE
    return LeaseTerms(name=settings.leader_election_name, namespace=namespace)


def _elector(around: Surroundings, cluster: Cluster, terms: LeaseTerms, metrics: PrometheusMetrics) -> Elector | None:
    if around.settings.disable_leader_election:
        return None
    return Elector(cluster, around.identity, around.clock, around.log, terms, metrics=metrics, elected=SharedEvent())


@asynccontextmanager
async def _leading(elector: Elector | None, transport: Transport) -> AsyncIterator[asyncio.Event]:
    """An event that is set while this process leads; the lease is given back after the block.

    The lease is renewed apart: listing a large cluster keeps this loop busy for longer than a renewal may take on a
    machine that is busy too. A loop that never comes back is found by the probes, which are served by it.
    """
    elected = asyncio.Event()
    if elector is None:
        elected.set()
        yield elected
        return
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_stand(elector, transport), name="leader-election")
        try:
            yield elector.elected
        finally:
            task.cancel()


async def _stand(elector: Elector, transport: Transport) -> None:
    async def stand() -> None:
        async with transport:
            await elector.run()

    await apart(stand, name="leader-election")
    raise LeadershipLostError("leader election lost")


def _services(
    settings: Settings,
    controllers: Controllers,
    acting: _Acting,
    metrics: PrometheusMetrics,
    elected: asyncio.Event,
) -> Mapping[str, Service]:
    serving = metrics_server(settings.metrics_port, metrics)
    paths: dict[str, Answer] = {**serving.paths, "/decisions": partial(_tell_decisions, controllers.decisions)}
    if settings.enable_profiling:
        paths[profiling.PATH] = profiling.profiler(RealClock())
    probes = probe_server(
        settings.health_probe_port, live={}, ready={"synced": partial(_unsynced, controllers, elected, settings)}
    )
    services: dict[str, Service] = {"probes": probes, "metrics": HttpServer(paths, settings.metrics_port)}
    if settings.disable_controller_warmup:
        return {**services, "leader": _WhenElected(elected, {**controllers.watching, "acting": acting})}
    return {**services, **controllers.watching, "leader": _WhenElected(elected, {"acting": acting})}


async def _tell_decisions(decisions: Decisions, _: web.Request) -> web.Response:
    return web.json_response(decisions.to_json())


def _unsynced(controllers: Controllers, elected: asyncio.Event, settings: Settings) -> str | None:
    """A follower that has not begun to watch is ready: it waits for its turn."""
    if settings.disable_controller_warmup and not elected.is_set():
        return None
    return controllers.freshness.stale() if controllers.synced.is_set() else "not everything has been listed"


@dataclass(frozen=True, slots=True)
class _WhenElected:
    """Runs services once this process leads."""

    elected: asyncio.Event
    services: Mapping[str, Service]

    async def run(self) -> None:
        """Work until cancelled."""
        await self.elected.wait()
        await supervise(self.services, asyncio.Event())


@dataclass(frozen=True, slots=True)
class _Acting:
    """Everything that writes, once everything was listed."""

    controllers: Controllers
    more: Mapping[str, Service]

    async def run(self) -> None:
        """Work until cancelled."""
        await self.controllers.synced.wait()
        settle_memory()
        await supervise({**self.controllers.acting(), **self.more}, asyncio.Event())


@dataclass(frozen=True, slots=True)
class _Upkeep:
    """Deletes what the AWS side made and nobody uses any more, and says what is odd: prices, the version."""

    aws: AwsCloud
    clock: Clock
    log: Log

    async def run(self) -> None:
        """Work until cancelled."""
        told: tuple[str, ...] = ()
        while True:
            await self.clock.sleep(MAINTAIN_EVERY)
            try:
                await self.aws.maintain()
            except PortError as error:
                self.log.warning("AWS upkeep failed", error=f"{type(error).__name__}: {error}")
            caveats = tuple(filter(None, (self.aws.prices.caveat, self.aws.cluster.caveat)))
            if caveats != told:
                self.log.warning("AWS caveats", caveats=caveats or "none any more")
                told = caveats


@dataclass(frozen=True, slots=True)
class StoredObjects:
    """Karpenter's objects, as the store has them."""

    store: Store

    async def node_class(self, name: str) -> EC2NodeClass | None:
        """The EC2NodeClass, or None where there is none."""
        return self.store.get(EC2NodeClass, name)

    async def node_classes(self) -> Sequence[EC2NodeClass]:
        """All EC2NodeClasses."""
        return self.store.all(EC2NodeClass)

    async def node_pools(self) -> Sequence[NodePool]:
        """All NodePools."""
        return self.store.all(NodePool)

    async def node_claims(self) -> Sequence[NodeClaim]:
        """All NodeClaims."""
        return self.store.all(NodeClaim)
