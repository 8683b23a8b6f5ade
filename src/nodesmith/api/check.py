"""Whether the decoders can read a manifest: the type of every field that they look at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from nodesmith.api.fault import Problem
from nodesmith.api.kind import Kind, Manifest
from nodesmith.api.schema import schema_of
from nodesmith.api.walk import Walk
from nodesmith.api.wire.cluster import BY_KIND


def check(kind: Kind[Any], manifest: Manifest) -> Iterator[Problem]:
    """Every problem that would keep the decoder of the kind from reading the object."""
    struct = BY_KIND.get(kind.name)
    if struct is None:
        return
    try:
        msgspec.convert(manifest, struct)
    except msgspec.ValidationError:
        yield from Walk(kind.title, minds_unknown=False, minds_empty=False).problems(schema_of(struct), manifest)
