"""Setting up and taking back, as a whole: AWS in a box over HTTP, a cluster in memory."""

import pytest

from nodesmith.api.kinds import CONFIG_MAP, EC2_NODE_CLASS, NODE_POOL
from nodesmith.install.assemble import Wishes, arriving_steps, leaving_steps
from nodesmith.install.identity import Identity
from nodesmith.install.pools import Pool
from nodesmith.install.setup import Action, Row, ensure, leaving_plan, plan, undo
from tests.functional.install.bench import IN_CLUSTER, Bench, aws_auth

EVERY_WAY = [Identity.IRSA, Identity.POD_IDENTITY]


async def install(bench: Bench, wishes: Wishes = Wishes()) -> list[Row]:  # noqa: B008 - frozen
    return await ensure(await arriving_steps(await bench.site(), wishes))


async def uninstall(bench: Bench, *, keeps_nodes: bool = False, takes_pools: bool = False) -> list[Row]:
    site = await bench.site()
    steps = await leaving_steps(site, keeps_nodes=keeps_nodes, takes_pools=takes_pools, tell=print)
    rows = await leaving_plan(steps)
    assert [row for row in rows if row.action is Action.STOP] == []
    return await undo(steps)


@pytest.mark.parametrize("identity", EVERY_WAY)
async def test_the_second_run_writes_nothing_and_taking_back_leaves_what_was_there(
    bench: Bench, identity: Identity
) -> None:
    before = bench.state()
    first = await install(bench, Wishes(identity=identity))
    assert {row.action for row in first} == {Action.CREATE, Action.KEEP}
    assert [row.step for row in first if row.action is Action.KEEP] == ["namespace"]
    values = bench.releases.found["karpenter", "kube-system"].values
    annotations = values["serviceAccount"]["annotations"]
    wanted = {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/KarpenterControllerRole-demo"}
    assert annotations == (wanted if identity is Identity.IRSA else {})
    assert values["controller"]["resources"] == {"requests": {"cpu": "250m", "memory": "512Mi"}}
    number, revision = bench.last_call(), bench.server.history.revision
    again = await install(bench)
    assert {(row.step, row.action, row.reason) for row in again if row.action is not Action.KEEP} == set()
    assert bench.writes(number) == []
    assert bench.server.history.revision == revision
    left = await uninstall(bench)
    assert {row.action for row in left} == {Action.REMOVE, Action.KEEP}
    assert bench.state() == before
    assert {row.action for row in await uninstall(bench)} == {Action.KEEP}


async def test_a_plan_changes_nothing(bench: Bench) -> None:
    before, number = bench.state(), bench.last_call()
    rows = await plan(await arriving_steps(await bench.site(), Wishes()))
    assert {row.step: row.action for row in rows} == {
        row.step: Action.KEEP if row.step == "namespace" else Action.CREATE for row in rows
    }
    assert bench.writes(number) == []
    assert bench.state() == before


async def test_an_old_cluster_gets_its_aws_auth_back_to_the_letter(bench: Bench) -> None:
    text = "# ours, by hand\n- rolearn: arn:aws:iam::1:role/admin   # the boss\n  username: admin\n  groups: [system:masters]\n"
    bench.box.control.cluster("demo", authentication_mode="CONFIG_MAP")
    await bench.cluster.create(CONFIG_MAP, aws_auth(text))
    before = bench.state()
    await install(bench)
    stated = (await bench.cluster.get(CONFIG_MAP, "aws-auth", namespace="kube-system"))["data"]["mapRoles"]
    assert stated.startswith(text)
    assert "KarpenterNodeRole-demo" in stated
    await uninstall(bench)
    assert bench.state() == before


async def test_another_pool_is_asked_for_by_name_only(bench: Bench) -> None:
    await ensure(await bench.arriving(*IN_CLUSTER))
    made = bench.server.get(NODE_POOL, "default")
    bench.server.patch(NODE_POOL, "default", {"spec": {"limits": {"cpu": "7"}}})
    assert {row.action for row in await ensure(await bench.arriving(*IN_CLUSTER))} == {Action.KEEP}
    rows = {row.step: row for row in await ensure(await bench.arriving(*IN_CLUSTER, wishes=Wishes(pool=Pool.STABLE)))}
    assert rows["NodePool"].action is Action.CHANGE
    stable = bench.server.get(NODE_POOL, "default")
    assert stable["spec"]["limits"] == {"cpu": "200", "memory": "800Gi"}
    assert stable["spec"]["template"]["spec"]["requirements"] != made["spec"]["template"]["spec"]["requirements"]
    assert bench.server.get(EC2_NODE_CLASS, "default")["spec"]["role"] == "KarpenterNodeRole-demo"
