"""AWS as nodesmith sees it in the story: the real adapter, over HTTP, at the box.

It acts with the role that was set up for it, and the box enforces IAM: what its policies do not allow fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from moto.sqs.models import sqs_backends

from nodesmith.adapters.aws.blocking import run_inline
from nodesmith.adapters.aws.client import SessionClients
from nodesmith.adapters.aws.cloud import AwsCloud
from nodesmith.adapters.aws.objects import ClusterObjects
from nodesmith.adapters.aws.queue import SqsQueue
from nodesmith.adapters.aws.settings import AwsSettings
from nodesmith.install.names import Names
from nodesmith.ports.clock import Clock
from nodesmith.ports.queue import Interruption
from nodesmith.sim.aws.box import Box
from nodesmith.sim.aws.world import ACCOUNT
from nodesmith.sim.demo.scene import CLUSTER, REGION, Scene, own_session

_LOOK_EVERY: Final = timedelta(seconds=1)
_MAINTAIN_EVERY: Final = timedelta(seconds=30)


async def provider(scene: Scene, names: Names) -> tuple[AwsCloud, PatientQueue]:
    """The cloud, started and kept tidy, and its queue."""
    settings = AwsSettings(cluster_name=CLUSTER, region=REGION, interruption_queue=names.queue)
    clients = _with_role(scene, names)
    scene.box.control.enforce_iam(on=True)
    cloud = AwsCloud(
        settings,
        clients=clients,
        objects=ClusterObjects(scene.base.cluster()),
        clock=scene.clock,
        run_blocking=run_inline,
        metrics=scene.metrics,
    )
    await cloud.start()
    scene.spawn(_maintain(cloud, scene.clock), name="maintain")
    return cloud, PatientQueue(SqsQueue(cloud.client, names.queue), names.queue, scene.box, scene.clock)


def _with_role(scene: Scene, names: Names) -> SessionClients:
    """Clients with the keys that the service account's token is changed for."""
    assumed = scene.raw("sts").assume_role_with_web_identity(
        RoleArn=names.role_arn(names.controller_role),
        RoleSessionName="controller",
        WebIdentityToken=f"{names.namespace}:{names.service_account}",
    )
    return SessionClients(own_session(assumed["Credentials"]), endpoint_url=scene.box.url)


async def _maintain(cloud: AwsCloud, clock: Clock) -> None:
    while True:
        await clock.sleep(_MAINTAIN_EVERY)
        await cloud.maintain()


class PatientQueue:
    """The queue, asked when there is something in it.

    A long poll of the box answers at once, since waiting is for virtual time to do; here it is waited, without a call.
    """

    def __init__(self, queue: SqsQueue, name: str, box: Box, clock: Clock) -> None:
        self._queue = queue
        self._name = name
        self._box = box
        self._clock = clock

    async def receive(self) -> Sequence[Interruption]:
        """Up to ten messages, once there is one."""
        while not self._is_waiting():
            await self._clock.sleep(_LOOK_EVERY)
        return await self._queue.receive()

    async def delete(self, receipts: Sequence[str]) -> None:
        """The messages will not come again."""
        await self._queue.delete(receipts)

    def _is_waiting(self) -> bool:
        with self._box.world.lock:
            backend: Any = sqs_backends[ACCOUNT][REGION]
            queue = backend.queues.get(self._name)
            return queue is not None and bool(queue.messages)
