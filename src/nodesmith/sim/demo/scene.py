"""The stage of the story: AWS in a box over HTTP, a cluster in memory, and nodesmith between them, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import Loader

from nodesmith.adapters.aws.blocking import run_inline
from nodesmith.adapters.aws.client import AwsClient, SessionClients
from nodesmith.adapters.memory.objects import meta
from nodesmith.adapters.memory.recording import RecordedEvents, RecordedMetrics
from nodesmith.api.kind import Manifest
from nodesmith.api.kinds import NODE, POD
from nodesmith.controllers.build import Controllers, at_once, build
from nodesmith.controllers.ports import Ports
from nodesmith.controllers.shell import Options
from nodesmith.decide.disrupt.decide import decide, validate
from nodesmith.decide.schedule.solve import schedule
from nodesmith.model.labels import ON_DEMAND, SPOT
from nodesmith.model.money import UsdPerHour
from nodesmith.ports.cloud import Cloud
from nodesmith.ports.log import NoLog
from nodesmith.ports.queue import Queue
from nodesmith.sim.aws import account
from nodesmith.sim.aws.account import Baseline
from nodesmith.sim.aws.box import Box
from nodesmith.sim.aws.ec2.backend import backend_of
from nodesmith.sim.clock import VirtualClock
from nodesmith.sim.world.boxhosts import BoxHosts
from nodesmith.sim.world.raw import is_ready
from nodesmith.sim.world.world import Base, World

REGION: Final = "ap-northeast-2"
CLUSTER: Final = "demo"
OWNER: Final = {"AccessKeyId": "testing", "SecretAccessKey": "testing"}
"""The account owner's keys: IAM has not made them, and they may do everything."""
STARTING: Final = timedelta(seconds=6)
ENDING: Final = timedelta(seconds=25)
_LOOK_EVERY: Final = timedelta(milliseconds=500)


@dataclass(frozen=True, slots=True)
class Machine:
    """An instance that is paid for, with its node and its pods."""

    instance_id: str
    instance_type: str
    zone: str
    capacity_type: str
    price: UsdPerHour
    on_demand_price: UsdPerHour
    state: str
    node: str
    labels: Mapping[str, str]
    pods: tuple[str, ...]


@dataclass(slots=True)
class Scene:
    """Everything that takes part."""

    clock: VirtualClock
    box: Box
    clients: SessionClients
    baseline: Baseline
    base: Base
    world: World
    client: AwsClient
    events: RecordedEvents
    metrics: RecordedMetrics
    group: asyncio.TaskGroup
    stop: asyncio.Event
    controllers: Controllers | None = None
    helpers: list[asyncio.Task[None]] = field(default_factory=list)

    def raw(self, service: str) -> Any:
        """The account owner's own client of an AWS service."""
        return self.clients.client(service, REGION)

    def start_controllers(self, cloud: Cloud, queue: Queue) -> None:
        """Nodesmith runs from now on."""
        cluster = self.base.cluster()
        ports = Ports(cluster, cloud, self.clock, self.events, self.metrics, NoLog(), queue)
        self.controllers = build(
            ports,
            Options(cluster_name=CLUSTER),
            solve=schedule,
            decide=decide,
            validate=validate,
            rng=self.base.random("nodesmith"),
            run_solver=at_once,
        )
        self.group.create_task(self.controllers.run(self.stop), name="nodesmith")

    def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        """Something runs beside the story until it ends."""
        self.helpers.append(self.group.create_task(work, name=name))

    async def until(self, question: Callable[[], bool], *, within: timedelta) -> bool:
        """Wait until it is so, or the time is over; whether it is so."""
        deadline = self.clock.now() + within
        while not question():
            if self.clock.now() >= deadline:
                return False
            await self.clock.sleep(_LOOK_EVERY)
        return True

    def pods(self, app: str) -> list[Manifest]:
        """The workload's pods that were not asked to go."""
        return [
            pod
            for pod in self.base.server.list(POD)
            if (meta(pod).get("labels") or {}).get("app") == app and "deletionTimestamp" not in meta(pod)
        ]

    def are_running(self, app: str, count: int) -> bool:
        """Whether so many of the workload's pods run, and no others are there."""
        pods = self.pods(app)
        return len(pods) == count and all(is_ready(pod) for pod in pods)

    def machines(self) -> list[Machine]:
        """What is paid for now."""
        world, backend = self.box.world, backend_of(REGION)
        with world.lock:
            world.settle()
            found = [each for each in backend.instances_by_id.values() if each.state in {"pending", "running"}]
        return [self._machine(each) for each in found]

    def price(self) -> UsdPerHour:
        """What all machines cost an hour now."""
        return sum((machine.price for machine in self.machines()), UsdPerHour(0))

    def _machine(self, instance: Any) -> Machine:
        zone, type_ = str(instance.availability_zone), str(instance.instance_type)
        on_demand = UsdPerHour.of(self.box.world.on_demand_price(REGION, type_) or 0)
        is_spot = instance.capacity_type == SPOT
        price = UsdPerHour.of(self.box.world.spot_price(zone, type_) or 0) if is_spot else on_demand
        node = self._node_of(instance.id)
        pods = self.base.server.list(POD) if node else ()
        return Machine(
            instance_id=instance.id,
            instance_type=type_,
            zone=zone,
            capacity_type=SPOT if is_spot else ON_DEMAND,
            price=price,
            on_demand_price=on_demand,
            state=instance.state,
            node=meta(node)["name"] if node else "",
            labels=meta(node).get("labels") or {} if node else {},
            pods=tuple(meta(pod)["name"] for pod in pods if node and pod["spec"].get("nodeName") == meta(node)["name"]),
        )

    def _node_of(self, instance_id: str) -> Manifest | None:
        nodes = self.base.server.list(NODE)
        return next((each for each in nodes if each["spec"].get("providerID", "").endswith(instance_id)), None)


_LOADER: Final = Loader()
"""Service models are read once for all sessions."""


def own_session(keys: Mapping[str, str]) -> boto3.session.Session:
    """boto3 that has these keys and knows nothing of the machine: not its profiles, not its proxies."""
    nothing = (None, None, None, None)
    session = botocore.session.Session(
        session_vars=dict.fromkeys(("profile", "config_file", "credentials_file"), nothing)
    )
    session.register_component("data_loader", _LOADER)
    session.set_default_client_config(Config(proxies={}))
    session.set_credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys.get("SessionToken"))
    return boto3.session.Session(botocore_session=session, region_name=REGION)


@asynccontextmanager
async def open_scene(clock: VirtualClock, *, seed: int = 0) -> AsyncIterator[Scene]:
    """A stage with an account and a cluster in it, as they are before anything was set up."""
    async with AsyncExitStack() as stack:
        box = stack.enter_context(Box(seed=seed, clock=clock.now, region=REGION))
        clients = SessionClients(own_session(OWNER), endpoint_url=box.url)
        baseline = account.prepare(
            box.url, region=REGION, cluster_name=CLUSTER, client=lambda service: clients.client(service, REGION)
        )
        box.control.timing(pending=STARTING, shutting_down=ENDING)
        box.control.cluster(CLUSTER, authentication_mode="CONFIG_MAP")
        base = Base(clock, seed=seed)
        world = World(base, BoxHosts(box, base.server, CLUSTER))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        scene = Scene(
            clock=clock,
            box=box,
            clients=clients,
            baseline=baseline,
            base=base,
            world=world,
            client=AwsClient(clients, region=REGION, clock=clock, run_blocking=run_inline),
            events=RecordedEvents(clock),
            metrics=RecordedMetrics(),
            group=group,
            stop=asyncio.Event(),
        )
        scene.spawn(world.run(), name="world")
        try:
            yield scene
        finally:
            scene.stop.set()
            for helper in scene.helpers:
                helper.cancel()
