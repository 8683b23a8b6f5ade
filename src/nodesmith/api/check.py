"""Whether the decoders can read a manifest: the type of every field that they look at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from nodesmith.api.fault import Problem
from nodesmith.api.kind import Kind, Manifest
from nodesmith.api.schema import schema_of
from nodesmith.api.walk import Walk
from nodesmith.api.wire import core


def check(kind: Kind[Any], manifest: Manifest) -> Iterator[Problem]:
    """Every problem of an object of Kubernetes' own; none when its decoder can read it."""
    struct = core.BY_KIND.get(kind.name)
    if struct is None:
        return
    try:
        msgspec.convert(manifest, struct)
    except msgspec.ValidationError:
        walk = Walk(f"{kind.name} ({kind.api_version})", minds_unknown=False)
        yield from walk.problems(schema_of(struct), manifest)
