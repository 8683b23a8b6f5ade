"""Kinds of Kubernetes objects: where the API server serves them and what they decode to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Manifest = Mapping[str, Any]
"""A Kubernetes object as JSON."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """One kind of object; `decode` never fails on an object that an API server stored.

    `shape` says which parts are read from its JSON at all where there may be thousands: `decode` sees no others.
    """

    group: str
    version: str
    name: str
    plural: str
    decode: Callable[[Manifest], T]
    is_namespaced: bool = False
    shape: Any = dict[str, Any]

    @property
    def api_version(self) -> str:
        """`group/version`, or the version alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def title(self) -> str:
        """What messages call it: `NodePool (karpenter.sh/v1)`."""
        return f"{self.name} ({self.api_version})"

    def __str__(self) -> str:
        return self.name
