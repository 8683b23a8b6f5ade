"""The first NodePool of each kind is right by our own rules, and buys what it says."""

from typing import Any

import pytest
import yaml

from nodesmith.adapters.aws.shipped import shipped_types
from nodesmith.api.documents import read_documents
from nodesmith.api.kinds import NODE_POOL
from nodesmith.api.validation import validate
from nodesmith.install.names import Names
from nodesmith.install.objects import holds
from nodesmith.install.pools import Pool, node_class, node_pool
from nodesmith.model.labels import ARCH, CAPACITY_TYPE, INSTANCE_CPU

NAMES = Names("shop", "123456789012", "ap-northeast-2", "https://oidc.example/id/A1")


def faults(*manifests: Any) -> list[str]:
    reading = read_documents(yaml.safe_dump_all(manifests), "made.yaml")
    return [str(fault) for document in reading.documents for fault in validate(document)] + list(
        map(str, reading.faults)
    )


@pytest.mark.parametrize("pool", Pool)
def test_it_is_right_and_no_advice_is_to_be_given(pool: Pool) -> None:
    assert faults(node_pool("shop", pool), node_class(NAMES)) == []


@pytest.mark.parametrize(
    ("pool", "terms", "archs", "families"),
    [
        (Pool.CHEAP, {"spot", "on-demand"}, {"arm64", "amd64"}, {"t4g", "t3a", "m7g", "c7a"}),
        (Pool.BALANCED, {"spot", "on-demand"}, {"amd64"}, {"m7i", "c7a", "r6i"}),
        (Pool.STABLE, {"on-demand"}, {"amd64"}, {"m7i", "c7a", "r6i"}),
    ],
)
def test_it_buys_what_it_says(pool: Pool, terms: set[str], archs: set[str], families: set[str]) -> None:
    wanted = NODE_POOL.decode(node_pool("shop", pool)).requirements
    bought = [
        (each, offering)
        for each in shipped_types()
        if each.requirements.intersection_conflict(wanted) is None
        for offering in each.offerings
        if wanted.get(CAPACITY_TYPE).allows(offering.capacity_type)
    ]
    assert {offering.capacity_type for _, offering in bought} == terms
    assert {arch for each, _ in bought for arch in each.requirements.get(ARCH).values} == archs
    assert len({offering.zone for _, offering in bought}) > 1
    assert {each.name.partition(".")[0] for each, _ in bought} >= families
    sizes = {int(value) for each, _ in bought for value in each.requirements.get(INSTANCE_CPU).values}
    assert max(sizes) == {Pool.CHEAP: 8, Pool.BALANCED: 32, Pool.STABLE: 64}[pool]


def test_what_the_server_fills_in_does_not_matter() -> None:
    present = {"a": 1, "b": [{"c": 1, "d": 2}], "e": {"f": None}}
    assert holds(present, {"a": 1, "b": [{"c": 1}]})
    assert holds(present, {"e": {"f": None, "g": None, "h": []}})
    assert not holds(present, {"b": [{"c": 1}, {"c": 2}]})
    assert not holds(present, {"b": {"c": 1}})
    assert not holds(present, {"a": 2})
