"""Bytes of a watch to changes, without I/O: a watch is JSON objects, one a line."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

from nodesmith.adapters.kubernetes.errors import Status, translate
from nodesmith.api.kind import Kind
from nodesmith.ports.cluster import Change, ChangeType
from nodesmith.ports.errors import Unavailable

T = TypeVar("T")


class _Event(msgspec.Struct):
    type: str
    object: dict[str, Any]


_EVENTS = msgspec.json.Decoder(_Event)


class ChangeReader(Generic[T]):
    """Collects the bytes of one watch and gives out changes as their lines become complete."""

    def __init__(self, kind: Kind[T], about: str) -> None:
        self._kind = kind
        self._about = about
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> list[Change[T]]:
        """The changes that this chunk completes.

        Raises:
            PortError: when the server tells an error through the watch (`Expired` above all).
            Unavailable: when a line cannot be read.
        """
        self._rest += chunk
        if b"\n" not in chunk:
            return []
        *lines, rest = self._rest.split(b"\n")
        self._rest = rest
        return [self._change(line) for line in lines if line]

    def _change(self, line: bytes | bytearray) -> Change[T]:
        try:
            event = _EVENTS.decode(line)
            if event.type == "ERROR":
                status = msgspec.convert(event.object, Status)
                raise translate(status.code, status, about=self._about)
            change_type = ChangeType(event.type)
            version = event.object["metadata"].get("resourceVersion") or ""
            value = None if change_type is ChangeType.BOOKMARK else self._kind.decode(event.object)
        except (msgspec.DecodeError, ValueError, KeyError) as error:
            raise Unavailable(f"{self._about}: cannot read what came: {error}") from error
        return Change(change_type, value, version)


class _ListMetadata(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct):
    metadata: _ListMetadata
    items: list[dict[str, Any]] | None = None


_LISTS = msgspec.json.Decoder(_List)


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list; `continue_token` is empty on the last."""

    items: list[T]
    resource_version: str
    continue_token: str


def read_page(kind: Kind[T], body: bytes) -> Page[T]:
    """The page in an answer's body."""
    listed = _LISTS.decode(body)
    items = [kind.decode(item) for item in listed.items or ()]
    return Page(items, listed.metadata.resource_version, listed.metadata.continue_)
