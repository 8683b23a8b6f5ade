"""The ConfigMap belongs to everybody: our entry goes in and comes out, and nothing else moves."""

import random
from datetime import UTC, datetime

import pytest
import yaml

from nodesmith.adapters.memory.cluster import MemoryCluster
from nodesmith.adapters.memory.server import ApiServer
from nodesmith.api.kinds import CONFIG_MAP
from nodesmith.install.awsauth import AwsAuth, is_mapped, map_roles
from nodesmith.install.names import Names
from nodesmith.install.setup import Action
from nodesmith.ports.errors import Refused
from tests.functional.install.bench import JumpingClock, aws_auth

NAMES = Names("shop", "123456789012", "ap-northeast-2", "https://oidc.example/id/A1")
ARN = NAMES.role_arn(NAMES.node_role)
TEXTS = [
    "# by hand\n- rolearn: arn:aws:iam::1:role/a   # the boss\n  username: a\n  groups: [system:masters]\n",
    "  - groups:\n      - x\n    rolearn: arn:aws:iam::1:role/a\n    username: a",
    "[{rolearn: 'arn:aws:iam::1:role/a', username: a, groups: [x]}]",
    "- rolearn: arn:aws:iam::1:role/a\n  username: a\n  groups: [x]\n\n",
    "[]",
    "",
]


class Bench:
    def __init__(self) -> None:
        self.server = ApiServer(lambda: datetime(2026, 1, 1, tzinfo=UTC), random.Random(1))
        self.cluster = MemoryCluster(self.server, JumpingClock())
        self.step = AwsAuth(self.cluster, NAMES)

    @property
    def text(self) -> str:
        return map_roles(self.server.get(CONFIG_MAP, "aws-auth", namespace="kube-system"))

    def write(self, text: str) -> None:
        self.server.patch(CONFIG_MAP, "aws-auth", {"data": {"mapRoles": text}}, namespace="kube-system")


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("text", TEXTS)
async def test_the_text_is_as_it_was(bench: Bench, text: str) -> None:
    manifest = aws_auth("x")
    bench.server.create(CONFIG_MAP, {**manifest, "data": {"mapRoles": text, "mapUsers": "[]"}})
    await bench.step.ensure()
    rows = yaml.safe_load(bench.text)
    assert [each["rolearn"] for each in rows] == [*(["arn:aws:iam::1:role/a"] if len(text) > 2 else []), ARN]
    assert (await bench.step.look()).action is Action.KEEP
    assert await is_mapped(bench.cluster, ARN)
    await bench.step.undo()
    assert bench.text == text
    annotations = bench.server.get(CONFIG_MAP, "aws-auth", namespace="kube-system")["metadata"].get("annotations")
    assert not annotations


async def test_a_map_that_was_not_there_is_not_there_again(bench: Bench) -> None:
    await bench.step.ensure()
    assert yaml.safe_load(bench.text)[0]["username"] == "system:node:{{EC2PrivateDNSName}}"
    await bench.step.undo()
    assert bench.server.find(CONFIG_MAP, "aws-auth", namespace="kube-system") is None


@pytest.mark.parametrize("text", [*TEXTS[:4], None])
async def test_what_others_wrote_since_stays(bench: Bench, text: str | None) -> None:
    if text is not None:
        bench.server.create(CONFIG_MAP, aws_auth(text))
    await bench.step.ensure()
    indent = "  " if text and text.startswith("  ") else ""
    theirs = f"{indent}- rolearn: arn:aws:iam::1:role/late\n{indent}  username: late\n{indent}  groups: []\n"
    bench.write(bench.text + theirs)
    await bench.step.undo()
    rows = [each["rolearn"] for each in yaml.safe_load(bench.text)]
    assert rows == [*(["arn:aws:iam::1:role/a"] if text is not None else []), "arn:aws:iam::1:role/late"]


async def test_an_entry_of_others_gets_the_groups_it_lacks_and_stays(bench: Bench) -> None:
    entry = [{"rolearn": ARN, "username": "n", "groups": ["system:nodes"]}]
    bench.server.create(CONFIG_MAP, aws_auth(yaml.safe_dump(entry)))
    finding = await bench.step.look()
    assert (finding.action, finding.differences) == (Action.CHANGE, ("group system:bootstrappers is missing",))
    await bench.step.ensure()
    assert yaml.safe_load(bench.text)[0]["groups"] == ["system:nodes", "system:bootstrappers"]
    assert (await bench.step.look()).leaving is Action.KEEP
    await bench.step.undo()
    assert len(yaml.safe_load(bench.text)) == 1


async def test_what_cannot_be_read_is_not_touched(bench: Bench) -> None:
    bench.server.create(CONFIG_MAP, aws_auth("- a: [\n"))
    finding = await bench.step.look()
    assert finding.action is Action.STOP
    assert "cannot be read" in finding.obstacle
    assert not await is_mapped(bench.cluster, ARN)
    bench.write("a: b\n")
    assert (await bench.step.look()).action is Action.STOP
    with pytest.raises(Refused):
        await bench.step.ensure()
