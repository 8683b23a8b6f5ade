"""Families, lifetimes, resources, tags and taints against the peer's own tables."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from nodesmith.adapters.aws import names, network, subnets, typestore, unavailable
from nodesmith.adapters.aws.families import FAMILIES
from nodesmith.adapters.aws.tags import RESTRICTED
from nodesmith.api.scalars import parse_duration
from nodesmith.api.wire.base import to_json
from nodesmith.model.taints import DISRUPTED, UNREGISTERED
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
