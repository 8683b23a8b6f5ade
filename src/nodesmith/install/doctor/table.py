"""All checks, in the order in which they are documented and told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from nodesmith.api.likeness import did_you_mean
from nodesmith.install.doctor.check import Check, Group
from nodesmith.install.doctor.checks.controller import CONTROLLER
from nodesmith.install.doctor.checks.identity import IDENTITY
from nodesmith.install.doctor.checks.network import NETWORK
from nodesmith.install.doctor.checks.nodeclass import NODE_CLASSES
from nodesmith.install.doctor.checks.nodes import NODES
from nodesmith.install.doctor.checks.permissions import PERMISSIONS
from nodesmith.install.doctor.checks.pools import POOLS
from nodesmith.install.doctor.checks.queue import QUEUE
from nodesmith.install.doctor.checks.reach import REACH
from nodesmith.install.doctor.checks.tags import TAGS
from nodesmith.install.doctor.checks.work import WORK

GROUPS: Final[tuple[Group, ...]] = (
    REACH,
    IDENTITY,
    PERMISSIONS,
    NODES,
    NETWORK,
    TAGS,
    QUEUE,
    CONTROLLER,
    NODE_CLASSES,
    POOLS,
    WORK,
)
CHECKS: Final[tuple[Check, ...]] = tuple(check for group in GROUPS for check in group.checks)


class UnknownCheckError(ValueError):
    """There is no check of a number that was asked for."""


def chosen(numbers: Iterable[str]) -> tuple[Check, ...]:
    """The checks of these numbers, or all where none is named.

    Raises:
        UnknownCheckError: when there is none of a number.
    """
    wanted = {number.upper() for number in numbers}
    known = {check.number: check for check in CHECKS}
    for number in sorted(wanted - known.keys()):
        raise UnknownCheckError(f"there is no check {number}. {did_you_mean(number, known)}".rstrip())
    return tuple(check for check in CHECKS if not wanted or check.number in wanted)
