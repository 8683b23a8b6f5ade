"""A command under way, as it is written down on the claims that are to leave.

The annotation is there before anything is done, so that a process that starts anew finds every command: it goes on with
those that were fully set up, and takes the others back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from nodesmith.api.meta import format_time, parse_time
from nodesmith.decide.disrupt.policy import REPLACES_FOR
from nodesmith.decide.lifecycle.newclaim import PURCHASED_AS
from nodesmith.model.meta import EPOCH
from nodesmith.model.nodeclaim import DISRUPTION_REASON, INITIALIZED, NodeClaim
from nodesmith.model.taints import DISRUPTED
from nodesmith.plan.command import Command, Decision, Method
from nodesmith.state.snapshot import StateNode

COMMAND: Final = "nodesmith.dev/command"


@dataclass(frozen=True, slots=True)
class CommandRecord:
    """Which claims leave, once which claims are initialized. Names only: everything else can be looked up.

    `serves` are, for each replacement, the places among the candidates of those whose pods it is to hold.
    """

    id: str
    method: Method
    candidates: tuple[str, ...]
    replacements: tuple[str, ...]
    serves: tuple[tuple[int, ...], ...]
    started_at: datetime

    @classmethod
    def of(cls, command: Command, *, id_: str, replacements: Iterable[str], now: datetime) -> CommandRecord:
        """The record of a command that is about to start."""
        claims = tuple(leaving.claim for leaving in command.candidates)
        return cls(id_, command.method, claims, tuple(replacements), _serves(command), now)

    @property
    def decision(self) -> Decision:
        """Whether something is bought in exchange."""
        return Decision.REPLACE if self.replacements else Decision.DELETE

    @property
    def reason(self) -> str:
        """Why, as upstream writes it."""
        return self.method.reason.value

    def served_by(self, replacements: Iterable[str]) -> frozenset[str]:
        """The claims that leave for the sake of these replacements."""
        numbers = {name: number for number, name in enumerate(self.replacements)}
        return frozenset(self.candidates[place] for name in replacements for place in self.serves[numbers[name]])

    def to_text(self) -> str:
        """The annotation's text."""
        stated: Mapping[str, Any] = {
            "id": self.id,
            "method": self.method.value,
            "candidates": list(self.candidates),
            "replacements": list(self.replacements),
            "serves": [list(places) for places in self.serves],
            "startedAt": format_time(self.started_at),
        }
        return json.dumps(stated, separators=(",", ":"), sort_keys=True)


def read(claim: NodeClaim) -> CommandRecord | None:
    """The record on the claim, or None when there is none that can be read."""
    text = claim.meta.annotations.get(COMMAND)
    if text is None:
        return None
    try:
        raw = json.loads(text)
        return CommandRecord(
            id=str(raw["id"]),
            method=Method(raw["method"]),
            candidates=tuple(map(str, raw["candidates"])),
            replacements=tuple(map(str, raw["replacements"])),
            serves=tuple(tuple(map(int, places)) for places in raw["serves"]),
            started_at=parse_time(raw["startedAt"]) or EPOCH,
        )
    except (ValueError, KeyError, TypeError):
        return None


def resumable(nodes: Iterable[StateNode], claim_named: Callable[[str], NodeClaim | None]) -> tuple[CommandRecord, ...]:
    """The commands that were fully set up before whoever started them went away, by id.

    Fully: each candidate that is still there carries the record and the taint, and each replacement exists.
    """
    by_claim = {each.claim.name: each for each in nodes if each.claim is not None}
    records = {
        record.id: record for each in by_claim.values() if each.claim and (record := read(each.claim)) is not None
    }
    return tuple(
        record
        for _, record in sorted(records.items())
        if all(_is_set_up(by_claim.get(name), record) for name in record.candidates)
        and all(claim_named(name) is not None for name in record.replacements)
    )


def is_stale(node: StateNode, running: frozenset[str]) -> bool:
    """Whether the node carries traces of a disruption that is not going on; `running` are ids of commands."""
    if node.is_deleting or node.claim is None:
        return False
    record = read(node.claim)
    if record is not None and record.id in running:
        return False
    is_tainted = node.node is not None and DISRUPTED in node.node.taints
    return is_tainted or COMMAND in node.claim.meta.annotations or node.claim.condition(DISRUPTION_REASON) is not None


def is_orphaned(node: StateNode, running: frozenset[str]) -> bool:
    """Whether the node is a replacement that is not up yet, of a command that does not go on: nobody waits for it."""
    claim = node.claim
    if claim is None or node.is_deleting or REPLACES_FOR not in claim.meta.annotations or claim.has(INITIALIZED):
        return False
    return claim.meta.annotations.get(PURCHASED_AS, "") not in running


def _is_set_up(node: StateNode | None, record: CommandRecord) -> bool:
    if node is None or node.claim is None or node.claim.meta.is_deleting:
        return True
    is_tainted = node.node is None or DISRUPTED in node.node.taints
    own = read(node.claim)
    return own is not None and own.id == record.id and is_tainted


def _serves(command: Command) -> tuple[tuple[int, ...], ...]:
    """By replacement: the candidates whose pods it is to hold; all of them where nothing says which."""
    everyone = tuple(range(len(command.candidates)))
    return tuple(
        tuple(place for place in everyone if not set(command.candidates[place].pods).isdisjoint(claim.pods)) or everyone
        for claim in command.replacements
    )
