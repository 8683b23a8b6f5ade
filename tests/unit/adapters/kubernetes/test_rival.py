import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from nodesmith.adapters.kubernetes.lease import LeaseTerms
from nodesmith.adapters.kubernetes.rival import KARPENTER_LEASE, RivalLeadsError, find_rival, identity_of, refuse_rivals
from nodesmith.api.kind import Kind, Manifest
from tests.unit.adapters.kubernetes.manual import ManualClock

KARPENTER = "karpenter-7d9f-abcde_9e107d9d"
OURS = identity_of("karpenter-1", "5f0c")
TERMS = LeaseTerms()


class Leases:
    """The leases of Karpenter's name; those in `alive` are renewed each time somebody looks."""

    def __init__(self, holders: dict[str, str], *, alive: set[str]) -> None:
        self._holders = holders
        self._alive = alive
        self.looks = 0

    async def list_named(self, kind: Kind[Any], name: str) -> Sequence[Manifest]:
        assert (kind.name, name) == ("Lease", KARPENTER_LEASE)
        self.looks += 1
        return [
            {
                "metadata": {"name": name, "namespace": namespace},
                "spec": {
                    "holderIdentity": holder,
                    "leaseDurationSeconds": 15,
                    "renewTime": f"2026-01-01T00:00:{self.looks if namespace in self._alive else 0:02}.000000Z",
                },
            }
            for namespace, holder in self._holders.items()
        ]


async def ask(leases: Leases, terms: LeaseTerms = TERMS) -> tuple[str | None, float]:
    """Which namespace the rival leads from, and how many seconds that took to find out."""
    clock = ManualClock()
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(find_rival(leases, clock, terms))
        await clock.settle()
        while not asked.done():
            await clock.advance(1)
    rival = asked.result()
    return (rival.namespace if rival else None), clock.passed_s - 1000


async def test_where_nobody_holds_a_lease_nothing_is_waited_for() -> None:
    assert await ask(Leases({}, alive=set())) == (None, 0)
    assert await ask(Leases({"kube-system": ""}, alive=set())) == (None, 0)


@pytest.mark.parametrize("namespace", ["kube-system", "karpenter"])
async def test_a_karpenter_that_renews_is_found_in_any_namespace(namespace: str) -> None:
    found, took = await ask(Leases({namespace: KARPENTER, "other": OURS}, alive={namespace}))
    assert found == namespace
    assert took < 5


async def test_a_karpenter_that_was_scaled_away_without_a_word_is_waited_for_as_long_as_its_lease_holds() -> None:
    found, took = await ask(Leases({"kube-system": KARPENTER}, alive=set()))
    assert found is None
    assert 15 <= took <= 17


async def test_another_replica_of_the_same_installation_is_no_rival() -> None:
    assert await ask(Leases({"kube-system": OURS}, alive={"kube-system"})) == (None, 0)


async def test_a_second_installation_is() -> None:
    assert (await ask(Leases({"karpenter": OURS}, alive={"karpenter"})))[0] == "karpenter"
    renamed = LeaseTerms(name="other-name")
    assert (await ask(Leases({"kube-system": OURS}, alive={"kube-system"}), renamed))[0] == "kube-system"


async def test_the_refusal_names_who_leads() -> None:
    clock = ManualClock()
    async with asyncio.TaskGroup() as group:
        leases = Leases({"karpenter": KARPENTER}, alive={"karpenter"})
        refused = group.create_task(_refused(leases, clock))
        await clock.advance(10)
    assert KARPENTER in refused.result()
    assert "karpenter/karpenter-leader-election" in refused.result()


async def _refused(leases: Leases, clock: ManualClock) -> str:
    with pytest.raises(RivalLeadsError) as raised:
        await refuse_rivals(leases, clock, TERMS)
    return str(raised.value)
