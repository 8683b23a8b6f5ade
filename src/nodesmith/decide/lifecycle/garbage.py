"""Claims without machines and machines without claims (spec 4.4, 7.13)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import REGISTERED, NodeClaim
from nodesmith.ports.cloud import Machine

SETTLING_TIME: Final = timedelta(seconds=30)
"""A machine may be younger than the news of its claim."""


def claims_without_machine(
    claims: Iterable[NodeClaim], machines: Iterable[Machine], ready_nodes: Iterable[Node]
) -> tuple[NodeClaim, ...]:
    """Registered claims whose machine the cloud does not know, unless its Node still says Ready."""
    alive = {machine.provider_id for machine in machines if not machine.is_terminating}
    ready = {node.provider_id for node in ready_nodes if node.is_ready}
    return tuple(
        claim
        for claim in claims
        if claim.has(REGISTERED)
        and not claim.meta.is_deleting
        and claim.provider_id not in alive
        and claim.provider_id not in ready
    )


def machines_without_claim(
    machines: Iterable[Machine], claims: Sequence[NodeClaim], now: datetime
) -> tuple[Machine, ...]:
    """Machines that no claim stands behind, old enough that one would show.

    A claim that waits for its launch to be known keeps the machine that carries its name.
    """
    owned = {claim.provider_id for claim in claims if claim.provider_id}
    launching = {claim.name for claim in claims if not claim.provider_id and not claim.meta.is_deleting}
    settled = (now - SETTLING_TIME).timestamp()
    return tuple(
        machine
        for machine in machines
        if not machine.is_terminating
        and machine.provider_id not in owned
        and machine.claim_name not in launching - {""}
        and machine.launched_at_s <= settled
    )
