"""Everything that can be said about a manifest without a cluster: all problems at once, each with path and hint."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from nodesmith.api import served
from nodesmith.api.advice import advise
from nodesmith.api.check import check
from nodesmith.api.documents import Document, duplicate_keys
from nodesmith.api.fault import Fault, Path, Problem
from nodesmith.api.kind import Manifest
from nodesmith.api.kinds import ALL, kind_of
from nodesmith.api.likeness import did_you_mean, edit_distance, slip_of
from nodesmith.api.schema import schema_of
from nodesmith.api.semantics import pool_problems
from nodesmith.api.served import Served
from nodesmith.api.walk import Walk, is_placeholder, shown
from nodesmith.api.wire.core import MetadataWire

METADATA_FIELDS: Final = frozenset(
    {
        "annotations",
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "finalizers",
        "generateName",
        "generation",
        "labels",
        "managedFields",
        "name",
        "namespace",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)
_TOP: Final = ("apiVersion", "kind", "metadata", "spec", "status")
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LONGEST_NAME: Final = 253
_OUR_GROUPS: Final = frozenset(each.kind.group for each in served.ALL)
_KUBERNETES: Final = {kind.name: kind for kind in ALL if kind.name not in served.BY_KIND_NAME}
_KUBERNETES_GROUPS: Final = frozenset({"extensions", *(kind.group for kind in _KUBERNETES.values())})
_ABOUT_KINDS: Final = "an object begins with `apiVersion:` and `kind:`"
_FORMER: Final = {
    "Provisioner": "NodePool (karpenter.sh/v1)",
    "Machine": "NodeClaim (karpenter.sh/v1)",
    "AWSNodeTemplate": "EC2NodeClass (karpenter.k8s.aws/v1)",
}


def validate(document: Document, *, with_advice: bool = True) -> list[Fault]:
    """Every fault of the document, in order of line; none for an object that is not ours to judge.

    With advice, what is allowed and yet worth a word is among them.
    """
    problems = [*duplicate_keys(document), *manifest_problems(document.data)]
    if with_advice and not any(problem.is_misshapen for problem in problems):
        problems.extend(advice_on(document.data))
    seen: set[tuple[Path, str]] = set()
    faults = []
    for problem in problems:
        if (problem.path, problem.message) not in seen:
            seen.add((problem.path, problem.message))
            faults.append(document.fault(problem))
    return sorted(faults, key=lambda fault: fault.line)


def manifest_problems(manifest: Any) -> Iterator[Problem]:
    """Every problem of a manifest."""
    if not isinstance(manifest, Mapping):
        yield Problem(
            (), "not a Kubernetes object: a document must be a map", "it begins with `apiVersion:` and `kind:`"
        )
        return
    kind_name = manifest.get("kind")
    ours = _served(manifest)
    if ours is not None:
        yield from _of_ours(ours, manifest)
    elif (kind := kind_of(manifest)) is not None:
        yield from check(kind, manifest)
    else:
        yield from _unknown_kind(manifest, kind_name)


def advice_on(manifest: Any) -> Iterator[Problem]:
    """What is worth a word although nothing is wrong."""
    ours = _served(manifest) if isinstance(manifest, Mapping) else None
    if ours is not None:
        yield from advise(ours.kind.name, manifest)


def _served(manifest: Manifest) -> Served | None:
    found = served.BY_KIND_NAME.get(str(manifest.get("kind")))
    return found if found is not None and manifest.get("apiVersion") == found.kind.api_version else None


def _of_ours(ours: Served, manifest: Manifest) -> Iterator[Problem]:
    walk = Walk(ours.kind.title, strays=ours.strays or {}, root=ours.struct)
    yield from _metadata(ours, manifest.get("metadata"))
    for name in manifest:
        if name not in _TOP:
            yield Problem(
                (name,), f"`{name}` is not a field of {ours.kind.title}", did_you_mean(name, _TOP) or "leave it out"
            )
    problems = list(walk.problems(schema_of(ours.struct), _without(manifest, "apiVersion", "kind", "metadata")))
    yield from problems
    if ours is served.NODE_POOL and not any(problem.is_misshapen for problem in problems):
        yield from pool_problems(manifest)


def _without(manifest: Manifest, *names: str) -> Manifest:
    return {name: value for name, value in manifest.items() if name in _TOP and name not in names}


def _metadata(ours: Served, metadata: Any) -> Iterator[Problem]:
    if not isinstance(metadata, Mapping):
        told = "`metadata` is missing" if metadata is None else "`metadata` must be an object"
        yield Problem(("metadata",), told, "metadata: {name: default}")
        return
    for name in metadata:
        if name not in METADATA_FIELDS:
            hint = did_you_mean(name, METADATA_FIELDS) or "leave it out, or make it a label or an annotation"
            yield Problem(("metadata", name), f"`metadata.{name}` is not a field of object metadata", hint)
    yield from Walk(ours.kind.title, minds_unknown=False).problems(
        schema_of(MetadataWire), dict(metadata), ("metadata",)
    )
    yield from _name(metadata.get("name"), has_other=bool(metadata.get("generateName")))
    if metadata.get("namespace") and not ours.kind.is_namespaced:
        yield Problem(
            ("metadata", "namespace"),
            f"{ours.kind.name} has no namespace: it belongs to the whole cluster",
            "leave it out",
        )


def _name(name: Any, *, has_other: bool) -> Iterator[Problem]:
    if name is None or name == "":
        if not has_other:
            yield Problem(
                ("metadata", "name"), "`metadata.name` is missing", "a name of your choice, in lower-case letters"
            )
    elif isinstance(name, str) and not is_placeholder(name) and not _is_name(name):
        hint = "lower-case letters, digits, `-` and `.`, beginning and ending with a letter or digit"
        yield Problem(("metadata", "name"), f"`metadata.name`: {shown(name)} is not a valid name", hint)


def _is_name(name: str) -> bool:
    return len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) is not None


def _unknown_kind(manifest: Manifest, kind_name: Any) -> Iterator[Problem]:
    """What is neither ours nor Kubernetes': a problem only where it was likely meant to be ours."""
    version = str(manifest.get("apiVersion") or "")
    group = version.rpartition("/")[0]
    if kind_name in _FORMER and group in _OUR_GROUPS | {"karpenter.sh", "karpenter.k8s.aws"}:
        yield Problem(("kind",), f"{kind_name} ({version}) is no longer served", f"it is {_FORMER[kind_name]} now")
    elif kind_name in served.BY_KIND_NAME:
        wanted = served.BY_KIND_NAME[kind_name].kind.api_version
        told = f"`apiVersion`: {shown(version)} does not serve {kind_name}" if version else "`apiVersion` is missing"
        yield Problem(("apiVersion",), told, f"{kind_name} is of {wanted}")
    elif group in _OUR_GROUPS:
        names = [name for name, each in served.BY_KIND_NAME.items() if each.kind.group == group]
        told = f"`kind`: {shown(kind_name)} is not a kind of {version}" if kind_name else "`kind` is missing"
        yield Problem(("kind",), told, did_you_mean(str(kind_name), names) or _one_of(names))
    elif not kind_name or not version:
        likely = did_you_mean(str(kind_name), served.BY_KIND_NAME) if kind_name else ""
        missing = "kind" if not kind_name else "apiVersion"
        yield Problem((missing,), f"`{missing}` is missing: this is no Kubernetes object", likely or _ABOUT_KINDS)
    elif kind_name in _KUBERNETES and group in _KUBERNETES_GROUPS:
        wanted = _KUBERNETES[kind_name].api_version
        yield Problem(
            ("apiVersion",), f"`apiVersion`: {shown(version)} does not serve {kind_name}", f"{kind_name} is of {wanted}"
        )
    elif likely := _close(str(kind_name), version):
        yield Problem(("kind",), f"`kind`: {shown(kind_name)} ({version}) is not known", likely)


def _close(kind_name: str, version: str) -> str:
    """A hint for a kind that differs from one of ours in case only, or from one of its version by a letter or two."""
    same = [name for name in served.BY_KIND_NAME if name.lower() == kind_name.lower()]
    of_version = [name for name, kind in _KUBERNETES.items() if kind.api_version == version]
    slips = sorted((name for name in of_version if slip_of(kind_name, (name,))), key=partial(edit_distance, kind_name))
    meant = next(iter((*same, *slips)), None)
    return f"did you mean `{meant}`?" if meant else ""


def _one_of(names: Iterable[str]) -> str:
    return "one of " + ", ".join(f"`{name}`" for name in names)
