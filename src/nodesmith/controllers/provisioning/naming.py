"""Names of new claims: chosen by us, so that they can be written down before the claim is made."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from nodesmith.controllers.shell import Shell
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.ports.errors import AlreadyExists

_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX: Final = 5
_LONGEST: Final = 63
_ATTEMPTS: Final = 5


def new_name(pool_name: str, rng: random.Random) -> str:
    """`POOL-xxxxx`, as the API server would make it up."""
    suffix = "".join(rng.choice(_ALPHABET) for _ in range(_SUFFIX))
    return f"{pool_name[: _LONGEST - _SUFFIX - 1]}-{suffix}"


async def create_named(shell: Shell, pool_name: str, claim_called: Callable[[str], NodeClaim]) -> NodeClaim:
    """The claim, made under the first name that is free.

    Raises:
        AlreadyExists: when none of a few names was free.
    """
    for attempt in range(_ATTEMPTS):
        try:
            claim = await shell.claims.create(claim_called(new_name(pool_name, shell.rng)))
        except AlreadyExists:
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            shell.store.claim_created(claim, now=shell.now())
            return claim
    raise AssertionError("the last attempt returns or raises")
