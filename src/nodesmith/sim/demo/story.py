"""The story in six steps. Each does something, shows what came of it, and checks it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from nodesmith.adapters.memory.objects import meta
from nodesmith.api.documents import read_documents
from nodesmith.api.edits import apply_edits
from nodesmith.api.fault import Fault
from nodesmith.api.kind import Manifest
from nodesmith.api.kinds import DEPLOYMENT, EC2_NODE_CLASS, NODE, NODE_CLAIM, NODE_POOL, POD
from nodesmith.api.validation import validate
from nodesmith.install.access import access_step
from nodesmith.install.aws import aws_steps, names_of
from nodesmith.install.names import DISCOVERY, Names
from nodesmith.install.policies import controller_policies
from nodesmith.install.setup import Action, Step, ensure, plan, undo
from nodesmith.model.labels import AWS_GROUP, SPOT
from nodesmith.model.money import UsdPerHour
from nodesmith.sim.aws.audit import audit
from nodesmith.sim.aws.control import Inventory
from nodesmith.sim.demo import manifests
from nodesmith.sim.demo.provider import provider
from nodesmith.sim.demo.scene import CLUSTER, Machine, Scene
from nodesmith.sim.demo.telling import Teller
from nodesmith.sim.world.raw import condition, is_ready

REPLICAS: Final = 12
FEWER: Final = 3
CONSOLIDATE_AFTER: Final = timedelta(minutes=10)
ZONE_WANTED: Final = "ap-northeast-2a"
EXPECTED_LABELS: Final = (
    "instance-category",
    "instance-cpu",
    "instance-family",
    "instance-generation",
    "instance-hypervisor",
    "instance-memory",
    "instance-size",
)
"""Some of the labels that every node has by the specification, under `karpenter.k8s.aws/`."""


class Story:
    """Tells it from beginning to end."""

    def __init__(self, scene: Scene, teller: Teller) -> None:
        self._scene = scene
        self._teller = teller
        self._steps: list[Step] = []
        self._before = Inventory({})
        self._dear = UsdPerHour(0)

    async def tell(self) -> None:
        """All six steps."""
        self._scene.base.diary.listen(self._happened)
        self._before = self._scene.box.control.inventory()
        pool = self.read_the_manifests()
        names = await self.set_up_aws()
        await self.grow(pool, names)
        await self.shrink()
        await self.survive_an_interruption()
        await self.leave(names)

    # --- 1 ---

    def read_the_manifests(self) -> Manifest:
        """The user's NodePool has two slips; the corrected one has none."""
        tell = self._teller
        tell.step(1, "The user's nodepool.yaml, as he wrote it")
        written = manifests.text(manifests.NODE_POOL)
        faults = lint(written, manifests.NODE_POOL)
        tell.table(
            ("where", "", "what", "hint"),
            [(f"{fault.file}:{fault.line}", str(fault.severity), fault.message, fault.hint) for fault in faults],
        )
        lines = written.splitlines()
        told = {(fault.line, fault.path): fault.hint for fault in faults}
        limit, weight = (lines.index(f"  {field}:") + 1 for field in ("limit", "weight"))
        tell.check(
            f"line {limit}: `limit` is no field, `limits` is",
            holds="limits" in told.get((limit, "spec.limit"), ""),
        )
        tell.check(f"line {weight}: `weight` has no value", holds=(weight, "spec.weight") in told)
        corrected = apply_edits(written, [fault.edit for fault in faults if fault.edit is not None])
        tell.say("put right by the same command, it ends like this:")
        tell.show("\n".join(corrected.splitlines()[-6:]))
        left = lint(corrected, manifests.NODE_POOL)
        are_advice = all(" allows only the " in fault.message for fault in left)
        tell.check(f"nothing is wrong with it now; {len(left)} pieces of advice are left", holds=are_advice)
        (pool,) = manifests.documents(corrected)
        return pool

    # --- 2 ---

    async def set_up_aws(self) -> Names:
        """Roles, policies, queue, rules and tags are there, and the node role is mapped in aws-auth."""
        tell, scene = self._teller, self._scene
        tell.step(2, "The AWS side: roles, policies, queue, rules, tags, aws-auth")
        self._forget_discovery_tags()
        names, network = await names_of(scene.client, CLUSTER)
        access = await access_step(scene.client, scene.base.cluster(), names)
        self._steps = [*aws_steps(scene.client, names, network), access]
        rows = await ensure(self._steps)
        tell.table(("", "what", "name"), [(row.action, row.step, row.target) for row in rows])
        again = await plan(self._steps)
        tell.check("a second run finds nothing to do", holds={row.action for row in again} == {Action.KEEP})
        return names

    def _forget_discovery_tags(self) -> None:
        """The account comes with the tags; the story begins without."""
        ids = [*self._scene.baseline.subnet_ids.values(), self._scene.baseline.security_group_id]
        self._scene.raw("ec2").delete_tags(Resources=ids, Tags=[{"Key": DISCOVERY}])

    # --- 3 ---

    async def grow(self, pool: Manifest, names: Names) -> None:
        """Twelve pods pend, spot machines are bought, join, and run them."""
        tell, scene = self._teller, self._scene
        tell.step(3, f"{REPLICAS} pods pend: machines are bought, join, and run them")
        cloud, queue = await provider(scene, names)
        scene.world.apply(*manifests.documents(manifests.text(manifests.DAEMONS)))
        scene.start_controllers(cloud, queue)
        values = {"EKS_CLUSTER_NAME": CLUSTER, "KARPENTER_NODE_ROLE": names.node_role}
        scene.world.apply(*manifests.documents(manifests.text(manifests.EC2_NODE_CLASS), values), pool)
        is_ready_pool = await scene.until(self._is_pool_ready, within=timedelta(minutes=2))
        tell.check("the NodePool and its EC2NodeClass are ready", holds=is_ready_pool)
        scene.world.apply(*manifests.documents(manifests.text(manifests.WORKLOAD)))
        began = scene.clock.now()
        await scene.until(lambda: len(self._pending()) == REPLICAS, within=timedelta(seconds=5))
        tell.say(f"{len(self._pending())} pods pend: {next(iter(self._pending()), '')}")
        is_up = await scene.until(lambda: scene.are_running("web", REPLICAS), within=timedelta(minutes=5))
        took = (scene.clock.now() - began).total_seconds()
        self._show_fleets()
        self._show_machines()
        tell.check(f"all {REPLICAS} pods run, {took:.0f} s after they were asked for", holds=is_up)
        self._check_machines(names)
        self._dear = scene.price()

    def _pending(self) -> list[str]:
        """Why each waiting pod waits."""
        found = [condition(pod, "PodScheduled") for pod in self._scene.pods("web")]
        return [each["message"] for each in found if each is not None and each["status"] == "False"]

    def _is_pool_ready(self) -> bool:
        pool = self._scene.base.server.find(NODE_POOL, "default")
        return pool is not None and is_ready(pool)

    def _show_fleets(self) -> None:
        calls = [
            call
            for call in self._scene.box.control.calls()
            if call.name == "ec2:CreateFleet" and not call.params.get("DryRun")
        ]
        rows = []
        for call in calls:
            configs: Any = call.params["LaunchTemplateConfigs"]
            overrides = [each for config in configs for each in config["Overrides"]]
            target = call.params["TargetCapacitySpecification"]
            kinds = sorted({each["InstanceType"] for each in overrides})
            shown = ", ".join(kinds[:4]) + (f" and {len(kinds) - 4} more" if len(kinds) > 4 else "")  # noqa: PLR2004 - enough to read
            rows.append((str(target["TotalTargetCapacity"]), str(target["DefaultTargetCapacityType"]), shown))
        self._teller.table(("CreateFleet", "terms", "instance types"), rows)

    def _show_machines(self) -> None:
        scene = self._scene
        machines = scene.machines()
        rows = [
            (
                machine.node.partition(".")[0],
                machine.instance_id,
                machine.instance_type,
                machine.zone,
                machine.capacity_type,
                str(sum(1 for name in machine.pods if name.startswith("web-"))),
                str(machine.price),
            )
            for machine in machines
        ]
        self._teller.table(("node", "instance", "type", "zone", "terms", "pods", "price"), rows)
        on_demand = sum((machine.on_demand_price for machine in machines), UsdPerHour(0))
        self._teller.say(f"together {scene.price()}; on demand they would cost {on_demand}")

    def _check_machines(self, names: Names) -> None:
        tell, machines = self._teller, self._scene.machines()
        are_wanted = all(
            machine.instance_type.startswith("t4g.") and (machine.zone, machine.capacity_type) == (ZONE_WANTED, SPOT)
            for machine in machines
        )
        tell.check(f"{len(machines)} spot machines of family t4g in {ZONE_WANTED}", holds=bool(machines) and are_wanted)
        nodes = self._nodes()
        tell.check(
            "each is a node that registered itself and is ready",
            holds=all(machine.node in nodes and is_ready(nodes[machine.node]) for machine in machines),
        )
        tell.check(
            f"their role {names.node_role} is let in by aws-auth", holds=not self._scene.world.kubelets.turned_away
        )
        shown = {key: value for key, value in sorted(machines[0].labels.items()) if key.startswith(f"{AWS_GROUP}/")}
        tell.show("\n".join(f"{key}: {value}" for key, value in shown.items()))
        are_labelled = all(
            f"{AWS_GROUP}/{label}" in machine.labels for machine in machines for label in EXPECTED_LABELS
        )
        tell.check(f"{len(shown)} labels begin with {AWS_GROUP}/", holds=are_labelled)

    def _nodes(self) -> dict[str, Manifest]:
        return {meta(node)["name"]: node for node in self._scene.base.server.list(NODE)}

    # --- 4 ---

    async def shrink(self) -> None:
        """The Deployment shrinks; after ten quiet minutes machines leave, and the price falls."""
        tell, scene = self._teller, self._scene
        tell.step(4, f"The Deployment shrinks to {FEWER}: machines that are not needed leave")
        before = scene.machines()
        began = scene.clock.now()
        scene.base.server.patch(DEPLOYMENT, "web", {"spec": {"replicas": FEWER}}, namespace="default")
        settled = await scene.until(
            lambda: len(scene.machines()) == len(self._nodes()) == 1 and scene.are_running("web", FEWER),
            within=CONSOLIDATE_AFTER + timedelta(minutes=30),
        )
        gone = {machine.instance_id: machine.node for machine in before}
        for machine in scene.machines():
            gone.pop(machine.instance_id, None)
        took = scene.clock.now() - began
        self._show_machines()
        tell.check(f"{len(gone)} of {len(before)} machines left, {_minutes(took)} later", holds=settled and bool(gone))
        tell.check("none left before consolidateAfter was over", holds=took >= CONSOLIDATE_AFTER)
        diary = scene.base.diary.lines
        are_orderly = all(_goes_in_order(diary, node) for node in gone.values())
        tell.check("each was tainted first, drained, and then terminated", holds=are_orderly)
        tell.check(f"{FEWER} pods run", holds=scene.are_running("web", FEWER))
        tell.check(f"the price fell from {self._dear} to {scene.price()}", holds=scene.price() < self._dear)

    # --- 5 ---

    async def survive_an_interruption(self) -> None:
        """A spot machine is taken back with two minutes' notice; its replacement runs the pods before that."""
        tell, scene = self._teller, self._scene
        tell.step(5, "AWS takes a spot machine back: two minutes' notice")
        (machine, *_) = scene.machines()
        ends_at = scene.box.control.interrupt_spot(machine.instance_id)
        began = scene.clock.now()
        tell.say(
            f"EventBridge: {machine.instance_id} ({machine.node}) ends in {(ends_at - began).total_seconds():.0f} s"
        )

        def is_replaced() -> bool:
            others = [each for each in scene.machines() if each.instance_id != machine.instance_id]
            on_others = {name for each in others for name in each.pods if name.startswith("web-")}
            return scene.are_running("web", FEWER) and len(on_others) == FEWER

        replaced = await scene.until(is_replaced, within=timedelta(minutes=10))
        now = scene.clock.now()
        self._show_machines()
        tell.check("the message came through EventBridge and the queue", holds=self._was_heard())
        took = (now - began).total_seconds()
        tell.check(f"its pods run elsewhere after {took:.0f} s", holds=replaced)
        tell.check("that was before the machine was taken", holds=now < ends_at)
        ended = await scene.until(lambda: not self._is_there(machine), within=timedelta(minutes=5))
        tell.check("the old machine and its node are gone", holds=ended)

    def _was_heard(self) -> bool:
        return any(event.reason == "SpotInterrupted" for _, event in self._scene.events.told)

    def _is_there(self, machine: Machine) -> bool:
        present = {each.instance_id for each in self._scene.machines()}
        return machine.instance_id in present or self._scene.base.server.find(NODE, machine.node) is not None

    # --- 6 ---

    async def leave(self, names: Names) -> None:
        """Everything is deleted, and nothing is left: no instance, launch template, profile, role or tag."""
        tell, scene, server = self._teller, self._scene, self._scene.base.server
        tell.step(6, "Everything is deleted: what is left behind?")
        server.delete(DEPLOYMENT, "web", namespace="default")
        server.delete(NODE_POOL, "default")
        are_gone = await scene.until(
            lambda: not server.list(NODE_CLAIM) and not server.list(NODE), within=timedelta(minutes=10)
        )
        tell.check("no NodeClaim and no Node is left", holds=are_gone)
        server.delete(EC2_NODE_CLASS, "default")
        is_released = await scene.until(lambda: not server.list(EC2_NODE_CLASS), within=timedelta(minutes=10))
        tell.check("the EC2NodeClass took its profile and launch templates with it", holds=is_released)
        ended = await scene.until(lambda: not scene.machines(), within=timedelta(minutes=5))
        scene.stop.set()
        self._check_permissions(names)
        await undo(self._steps)
        beyond = scene.box.control.inventory().beyond(self._before)
        if beyond:
            tell.table(("left in the account", ""), [(kind, ", ".join(names)) for kind, names in beyond.items()])
        tell.check("no instance runs", holds=ended)
        tell.check("nothing is in the account that was not there before", holds=not beyond)
        tags = scene.raw("ec2").describe_tags(Filters=[{"Name": "key", "Values": [DISCOVERY]}])["Tags"]
        tell.check("no discovery tag is left", holds=not tags)
        tell.check("no pod is left", holds=await scene.until(lambda: not server.list(POD), within=timedelta(minutes=2)))

    def _check_permissions(self, names: Names) -> None:
        """Each call that nodesmith made is allowed by its role's policies, with its resources and conditions."""
        calls = [call for call in self._scene.box.control.calls() if f"/{names.controller_role}/" in call.caller]
        refused = audit(calls, controller_policies(names)).refused
        if refused:
            self._teller.table(("not allowed",), [(each,) for each in refused])
        self._teller.check(
            f"its policies allowed each of the {len(calls)} calls that nodesmith made",
            holds=bool(calls) and not refused,
        )

    def _happened(self, line: str) -> None:
        """Pods are many and their steps small; of them only the beginning of the trouble is told."""
        if "  Pod " not in line:
            self._teller.happened(line)


def lint(written: str, name: str) -> list[Fault]:
    """What is wrong with the manifests of a file."""
    reading = read_documents(written, name)
    return [*reading.faults, *(fault for document in reading.documents for fault in validate(document))]


def _goes_in_order(diary: list[str], node: str) -> bool:
    """Whether the node took no more pods before it was gone."""
    tainted = [number for number, line in enumerate(diary) if f"Node {node} takes no more pods" in line]
    gone = [number for number, line in enumerate(diary) if line.endswith(f"Node {node} gone")]
    return bool(tainted and gone) and tainted[0] < gone[-1]


def _minutes(duration: timedelta) -> str:
    minutes, seconds = divmod(int(duration.total_seconds()), 60)
    return f"{minutes} min {seconds} s"
