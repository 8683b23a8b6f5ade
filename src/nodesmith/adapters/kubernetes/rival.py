"""Whether somebody else leads this cluster's nodes: a Karpenter, or a nodesmith in another namespace.

Two autoscalers over the same NodePools would buy every machine twice and delete each other's. A lease keeps replicas of
one installation apart, but not those of two namespaces; and a Karpenter that leads would be waited for without a word.
So before anything is watched, every lease of Karpenter's name is looked at. One is alive if it is renewed while
it is looked at: the time that it says was written by another machine's clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Protocol

from nodesmith.adapters.kubernetes.lease import LeaseRecord, LeaseTerms, parse_record
from nodesmith.api.kind import Kind, Manifest
from nodesmith.api.kinds import LEASE
from nodesmith.ports.clock import Clock

KARPENTER_LEASE: Final = "karpenter-leader-election"
OURS: Final = "_nodesmith-"
"""In the identity of every replica of ours."""

LOOK_EVERY: Final = timedelta(seconds=2)


class NamedObjects(Protocol):
    """An API server, as far as it lists objects of one name."""

    async def list_named(self, kind: Kind[Any], name: str) -> Sequence[Manifest]:
        """The objects of this name, of all namespaces."""
        ...


class RivalLeadsError(RuntimeError):
    """Somebody else leads: this process must not start."""


@dataclass(frozen=True, slots=True)
class Rival:
    """A lease that somebody else renews."""

    namespace: str
    holder: str

    def __str__(self) -> str:
        return f"{self.holder}, by the lease {self.namespace}/{KARPENTER_LEASE}"


def identity_of(host: str, unique: str) -> str:
    """Who a replica of ours is, in a lease: as client-go has it, and to be told from a Karpenter."""
    return f"{host}{OURS}{unique}"


async def refuse_rivals(cluster: NamedObjects, clock: Clock, terms: LeaseTerms) -> None:
    """Nobody else leads.

    Raises:
        RivalLeadsError: when somebody does.
    """
    rival = await find_rival(cluster, clock, terms)
    if rival is not None:
        raise RivalLeadsError(f"another autoscaler leads this cluster: {rival}; stop it first")


async def find_rival(cluster: NamedObjects, clock: Clock, terms: LeaseTerms) -> Rival | None:
    """The first lease that is alive and not for us to wait for; None when there is none.

    Where one is held and not renewed, this takes as long as a lease holds.
    """
    first = await _others(cluster, terms)
    until = clock.monotonic() + max((each.duration_s for each in first.values()), default=0)
    while clock.monotonic() < until:
        await clock.sleep(LOOK_EVERY)
        for namespace, record in sorted((await _others(cluster, terms)).items()):
            if record.renewed_at != first.get(namespace, record).renewed_at:
                return Rival(namespace, record.holder)
    return None


async def _others(cluster: NamedObjects, terms: LeaseTerms) -> Mapping[str, LeaseRecord]:
    """By namespace, the leases that are held and not by another replica of this installation."""
    found = {
        each["metadata"].get("namespace", ""): parse_record(each)
        for each in await cluster.list_named(LEASE, KARPENTER_LEASE)
    }
    own = terms.namespace if terms.name == KARPENTER_LEASE else None
    return {
        namespace: record
        for namespace, record in found.items()
        if record.holder and not (namespace == own and OURS in record.holder)
    }
