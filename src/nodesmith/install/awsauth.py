"""The node role in the aws-auth ConfigMap.

The one thing to know: the ConfigMap belongs to everybody. Our entry is put behind what is there, text untouched; what
was there before is kept in an annotation, and put back to the letter when nobody changed it since.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from nodesmith.api.kind import Manifest
from nodesmith.api.kinds import CONFIG_MAP
from nodesmith.install.names import MARK, Names
from nodesmith.install.setup import ABSENT, Finding
from nodesmith.ports.cluster import Cluster
from nodesmith.ports.errors import NotFound, Refused

AWS_AUTH: Final = "aws-auth"
NAMESPACE: Final = "kube-system"
GROUPS: Final = ("system:bootstrappers", "system:nodes")
USERNAME: Final = "system:node:{{EC2PrivateDNSName}}"
BACKUP: Final = "nodesmith.dev/map-roles-before"
"""The annotation with `mapRoles` as it was before a step changed it."""

_MADE_WHOLE: Final = "whole"


@dataclass(frozen=True, slots=True)
class AwsAuth:
    """The node role in aws-auth."""

    cluster: Cluster
    names: Names
    name: str = "aws-auth entry"

    @property
    def target(self) -> str:
        """The role."""
        return self.names.node_role

    async def look(self) -> Finding:
        """Whether the role is mapped, to the groups of nodes."""
        present = await present_map(self.cluster)
        try:
            row = next((each for each in rows(present) if each.get("rolearn") == self._arn), None)
        except yaml.YAMLError as error:
            return Finding(exists=True, obstacle=f"mapRoles of aws-auth cannot be read: {_first_line(error)}")
        if row is None:
            return ABSENT
        missing = [group for group in GROUPS if group not in (row.get("groups") or ())]
        own = present is not None and marks_of(present).get(MARK) == self.names.cluster
        return Finding(exists=True, differences=tuple(f"group {group} is missing" for group in missing), is_own=own)

    async def ensure(self) -> None:
        """The role is mapped; everything else in the ConfigMap is as it was."""
        present = await present_map(self.cluster)
        if present is None:
            marks = {MARK: self.names.cluster, BACKUP: _MADE_WHOLE}
            metadata = {"name": AWS_AUTH, "namespace": NAMESPACE, "annotations": marks}
            await self.cluster.create(CONFIG_MAP, {"metadata": metadata, "data": {"mapRoles": self._entry("")}})
            return
        before = map_roles(present)
        try:
            theirs = [each for each in rows(present) if each.get("rolearn") == self._arn]
        except yaml.YAMLError as error:
            raise Refused(f"mapRoles of aws-auth cannot be read: {_first_line(error)}") from error
        text = _dumped(self._completed(rows(present))) if theirs else _joined(before, self._entry(_indent(before)))
        added: dict[str, str | None] = {} if theirs else {MARK: self.names.cluster, BACKUP: before}
        await self._write(present, text, added)

    async def undo(self) -> None:
        """The entry is gone, if a step made it; the text is as it was before."""
        present = await present_map(self.cluster)
        if present is None or marks_of(present).get(MARK) != self.names.cluster:
            return
        text, before = map_roles(present), marks_of(present).get(BACKUP, "")
        if before == _MADE_WHOLE and text == self._entry("") and set(present.get("data") or {}) == {"mapRoles"}:
            await self.cluster.delete(CONFIG_MAP, AWS_AUTH, namespace=NAMESPACE, uid=str(present["metadata"]["uid"]))
            return
        await self._write(present, self._without(text, before), {MARK: None, BACKUP: None})

    def _without(self, text: str, before: str) -> str | None:
        """The text before ours, if nothing else was changed; otherwise today's without our entry."""
        if before != _MADE_WHOLE and text == _joined(before, self._entry(_indent(before))):
            return before or None
        for indent in ("", "  ", "    "):
            if (entry := self._entry(indent)) in text:
                return text.replace(entry, "")
        return _dumped([each for each in yaml.safe_load(text) or () if each.get("rolearn") != self._arn])

    def _completed(self, present: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The entries with the groups that ours lacks."""

        def completed(entry: Mapping[str, Any]) -> Mapping[str, Any]:
            groups = list(entry.get("groups") or ())
            return {**entry, "groups": [*groups, *(group for group in GROUPS if group not in groups)]}

        return [completed(each) if each.get("rolearn") == self._arn else each for each in present]

    def _entry(self, indent: str) -> str:
        entry = [{"rolearn": self._arn, "username": USERNAME, "groups": list(GROUPS)}]
        return textwrap.indent(_dumped(entry), indent)

    @property
    def _arn(self) -> str:
        return self.names.role_arn(self.names.node_role)

    async def _write(self, present: Manifest, text: str | None, marks: Mapping[str, str | None]) -> None:
        changed = {"metadata": {"annotations": dict(marks)}, "data": {"mapRoles": text}}
        version = str(present["metadata"]["resourceVersion"])
        await self.cluster.patch(CONFIG_MAP, AWS_AUTH, changed, namespace=NAMESPACE, resource_version=version)


async def is_mapped(cluster: Cluster, role_arn: str) -> bool:
    """Whether aws-auth lets nodes with the role in."""
    try:
        entries = rows(await present_map(cluster))
    except yaml.YAMLError:
        return False
    return any(each.get("rolearn") == role_arn and set(GROUPS) <= set(each.get("groups") or ()) for each in entries)


async def present_map(cluster: Cluster) -> Manifest | None:
    """The ConfigMap, or None where there is none."""
    try:
        return await cluster.get(CONFIG_MAP, AWS_AUTH, namespace=NAMESPACE)
    except NotFound:
        return None


def rows(present: Manifest | None) -> list[dict[str, Any]]:
    """The entries of mapRoles.

    Raises:
        YAMLError: when they cannot be read.
    """
    stated = yaml.safe_load(map_roles(present)) or []
    if not isinstance(stated, list) or not all(isinstance(each, dict) for each in stated):
        raise yaml.YAMLError("it is not a list of mappings")
    return [dict(each) for each in stated]


def map_roles(present: Manifest | None) -> str:
    """The text of mapRoles."""
    return str(((present or {}).get("data") or {}).get("mapRoles") or "")


def marks_of(present: Manifest) -> dict[str, str]:
    """The ConfigMap's annotations."""
    return dict(present["metadata"].get("annotations") or {})


def _indent(text: str) -> str:
    """How far the list's items stand from the margin."""
    items = [line for line in text.splitlines() if line.lstrip().startswith("- ")]
    return items[0][: len(items[0]) - len(items[0].lstrip())] if items else ""


def _joined(before: str, entry: str) -> str:
    """Our entry behind what is there; a list in braces is written out, since nothing can be put behind it."""
    listed = yaml.safe_load(before) or []
    if not listed:
        return entry
    if before.lstrip().startswith("["):
        before = _dumped(listed)
    return f"{before}{'' if before.endswith(chr(10)) else chr(10)}{entry}"


def _dumped(entries: Sequence[Mapping[str, Any]]) -> str:
    return str(yaml.safe_dump([dict(each) for each in entries], sort_keys=False, width=1000))


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
