"""Bytes of a watch to changes, without I/O: a watch is JSON objects, one a line."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Generic, TypeVar

import msgspec

from nodesmith.adapters.kubernetes.errors import Status, translate
from nodesmith.api.kind import Kind
from nodesmith.api.shapes import Metadata
from nodesmith.ports.cluster import Change, ChangeType
from nodesmith.ports.errors import Unavailable

T = TypeVar("T")


S = TypeVar("S")


class _Event(msgspec.Struct, Generic[S]):
    type: str
    object: S


class _ListMetadata(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct, Generic[S]):
    metadata: _ListMetadata
    items: list[S] | None = None


class _Failure(msgspec.Struct):
    object: Status


_TYPES = {str(each.value): each for each in ChangeType}
_WHOLE_EVENTS = msgspec.json.Decoder(_Event[dict[str, Any]])
_WHOLE_LISTS = msgspec.json.Decoder(_List[dict[str, Any]])
_FAILURES = msgspec.json.Decoder(_Failure)


@lru_cache
def _events(shape: Any) -> msgspec.json.Decoder[_Event[Any]]:
    return msgspec.json.Decoder(_Event[shape])


@lru_cache
def _lists(shape: Any) -> msgspec.json.Decoder[_List[Any]]:
    return msgspec.json.Decoder(_List[shape])


@lru_cache
def _objects(shape: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(shape)


def read_object(kind: Kind[T], body: bytes) -> T:
    """The object that is an answer's body."""
    try:
        return kind.decode(_objects(kind.shape).decode(body))
    except msgspec.ValidationError:
        return kind.decode(msgspec.json.decode(body))


class ChangeReader(Generic[T]):
    """Collects the bytes of one watch and gives out changes as their lines become complete."""

    def __init__(self, kind: Kind[T], about: str) -> None:
        self._kind = kind
        self._events = _events(kind.shape)
        self._about = about
        self._rest: list[bytes] = []

    def feed(self, chunk: bytes) -> list[Change[T]]:
        """The changes that this chunk completes.

        Raises:
            PortError: when the server tells an error through the watch (`Expired` above all).
            Unavailable: when a line cannot be read.
        """
        first, *more = chunk.split(b"\n")
        self._rest.append(first)
        if not more:
            return []
        lines = [b"".join(self._rest), *more[:-1]]
        self._rest = [more[-1]]
        return [self._change(line) for line in lines if line]

    def _change(self, line: bytes) -> Change[T]:
        try:
            event = self._event(line)
            if event.type == "ERROR":
                status = _FAILURES.decode(line).object
                raise translate(status.code, status, about=self._about)
            change_type = _TYPES[event.type]
            version = _version_of(event.object)
            value = None if change_type is ChangeType.BOOKMARK else self._kind.decode(event.object)
        except (msgspec.DecodeError, ValueError, KeyError) as error:
            raise Unavailable(f"{self._about}: cannot read what came: {error}") from error
        return Change(change_type, value, version)

    def _event(self, line: bytes) -> _Event[Any]:
        """The event; whole, where a part has another type than the shape says."""
        try:
            return self._events.decode(line)
        except msgspec.ValidationError:
            return _WHOLE_EVENTS.decode(line)


def _version_of(listed: Any) -> str:
    """The resource version of an object as it came."""
    metadata = listed["metadata"] if isinstance(listed, dict) else listed.metadata
    version = metadata.resource_version if isinstance(metadata, Metadata) else metadata.get("resourceVersion")
    return version or ""


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list; `continue_token` is empty on the last."""

    items: list[T]
    resource_version: str
    continue_token: str


def read_page(kind: Kind[T], body: bytes) -> Page[T]:
    """The page in an answer's body."""
    try:
        listed = _lists(kind.shape).decode(body)
    except msgspec.ValidationError:
        listed = _WHOLE_LISTS.decode(body)
    items = [kind.decode(item) for item in listed.items or ()]
    return Page(items, listed.metadata.resource_version, listed.metadata.continue_)
