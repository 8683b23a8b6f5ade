"""Families, lifetimes, resources, tags and taints against the peer's own tables."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from nodesmith.adapters.aws import cluster, names, network, subnets, typestore, unavailable
from nodesmith.adapters.aws.blocking import run_inline
from nodesmith.adapters.aws.client import AwsClient
from nodesmith.adapters.aws.families import FAMILIES
from nodesmith.adapters.aws.settings import AwsSettings
from nodesmith.adapters.aws.tags import RESTRICTED
from nodesmith.adapters.clock import RealClock
from nodesmith.api.scalars import parse_duration
from nodesmith.api.wire.base import to_json
from nodesmith.model.taints import DISRUPTED, UNREGISTERED
from nodesmith.ports.errors import Unavailable
from tests.unit.adapters.aws.vectors import DATA

PEER: Final[dict[str, Any]] = json.loads((DATA / "defaults.json").read_text("utf-8"))


def test_the_families_are_the_peers() -> None:
    assert len(PEER["amiFamilies"]) == 7
    assert FAMILIES.keys() == PEER["amiFamilies"].keys()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_has_the_peers_disks_and_density(name: str) -> None:
    mine, theirs = FAMILIES[name], PEER["amiFamilies"][name]
    assert [to_json(each) for each in mine.disks] == (theirs["blockDeviceMappings"] or [])
    assert mine.ephemeral_device == (theirs["ephemeralBlockDevice"] or "")
    flags = theirs["featureFlags"]
    assert mine.is_pods_per_core_supported is flags["PodsPerCoreEnabled"]
    assert mine.is_eni_limited is flags["SupportsENILimitedPodDensity"]
    assert mine.is_memory_reserved_by_enis is flags["UsesENILimitedMemoryOverhead"]


def test_answers_are_believed_as_long() -> None:
    ours = {
        "availableIPAddress": subnets.BELIEVED_FOR,
        "default": network.TTL,
        "discoveredCapacity": typestore.MEMORY_KNOWN_FOR,
        "unavailableOfferings": unavailable.REMEMBERED_FOR,
    }
    assert ours == {name: parse_duration(text) for name, text in PEER["cacheTTLs"].items()}


def test_resources_tags_and_taints_are_called_the_same() -> None:
    ours = {
        names.NVIDIA_GPU,
        names.AMD_GPU,
        names.GAUDI,
        names.NEURON,
        names.NEURON_CORE,
        names.POD_ENI,
        names.PRIVATE_IPV4,
        names.EFA,
    }
    assert ours == set(PEER["resources"])
    assert [pattern.pattern for pattern in RESTRICTED] == PEER["restrictedTagPatterns"]
    for mine, theirs in ((DISRUPTED, PEER["disruptedTaint"]), (UNREGISTERED, PEER["unregisteredTaint"])):
        assert (mine.key, str(mine.effect), mine.value) == (theirs["key"], theirs["effect"], theirs.get("value", ""))


def test_the_same_kubernetes_versions_are_known() -> None:
    known = PEER["kubernetesVersions"]
    assert [".".join(map(str, each)) for each in (cluster.OLDEST, cluster.NEWEST)] == [known["min"], known["max"]]


@pytest.mark.parametrize(
    ("version", "is_odd"), [("1.25", True), ("1.26", False), ("1.37", False), ("1.38", True), ("", False), ("x", False)]
)
def test_a_version_that_is_not_known_is_told(version: str, is_odd: bool) -> None:  # noqa: FBT001 - a table's cell
    clock = RealClock()
    nobody = AwsClient(NoClients(), region="eu-west-1", clock=clock, run_blocking=run_inline)
    settings = AwsSettings(cluster_name="demo", region="eu-west-1", kubernetes_version=version)
    assert bool(cluster.ClusterSource(settings, nobody, clock).caveat) is is_odd


async def test_the_api_server_is_asked_for_its_version_where_eks_is_not() -> None:
    """Every five minutes; what it said last is the version while it does not answer."""
    clock = Ahead()
    nobody = AwsClient(NoClients(), region="eu-west-1", clock=clock, run_blocking=run_inline)
    answers = ["1.35", "1.38"]

    async def ask() -> str:
        if not answers:
            raise Unavailable("no answer")
        return answers.pop(0)

    source = cluster.ClusterSource(AwsSettings(cluster_name="demo", region="eu-west-1"), nobody, clock, ask)
    assert [await source.version(), await source.version()] == ["1.35", "1.35"]
    assert source.caveat == ""
    clock.ahead_s = 301.0
    assert await source.version() == "1.38"
    assert source.caveat
    clock.ahead_s = 700.0
    assert await source.version() == "1.38"
    answers.clear()
    fresh = cluster.ClusterSource(AwsSettings(cluster_name="demo", region="eu-west-1"), nobody, clock, ask)
    with pytest.raises(Unavailable):
        await fresh.version()


class Ahead(RealClock):
    """A clock that can be put forward."""

    ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


class NoClients:
    """Nothing may be asked."""

    def client(self, service: str, region: str) -> Any:
        raise AssertionError((service, region))
