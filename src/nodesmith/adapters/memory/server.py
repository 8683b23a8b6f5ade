"""An API server in memory: JSON objects in, JSON objects out, no waiting.

Plain calls from one thread. The stored manifests are handed out as they are and must not be changed; every write makes
new ones. `MemoryCluster` puts the port, delays and faults around it, the world and the tests use it directly.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from nodesmith.adapters.memory import admission as plugins
from nodesmith.adapters.memory.admission import Admission, accept
from nodesmith.adapters.memory.history import History, Occurrence, Stored
from nodesmith.adapters.memory.objects import (
    copied,
    copied_patch,
    generated_name,
    has_status,
    key_of,
    meta,
    new_uid,
    owner_uids,
    patched,
    same,
    spec_differs,
    with_meta,
    without_nulls,
)
from nodesmith.api.kind import Kind, Manifest
from nodesmith.api.kinds import (
    ALL,
    NAMESPACE,
    NODE,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    PRIORITY_CLASS,
    STORAGE_CLASS,
)
from nodesmith.api.meta import format_time, parse_time
from nodesmith.ports.cluster import ChangeType
from nodesmith.ports.errors import AlreadyExists, Conflict, NotFound, Refused

NAMESPACES: Final = ("default", "kube-node-lease", "kube-public", "kube-system")
KEEP: Final = 10_000
"""Changes of a kind that a watch can still ask for."""


class ApiServer:
    """Stores objects and behaves as Kubernetes' API server does."""

    def __init__(
        self,
        now: Callable[[], datetime],
        rng: random.Random,
        *,
        kinds: Iterable[Kind[Any]] = ALL,
        admission: Admission = accept,
        keep: int = KEEP,
    ) -> None:
        self.history = History(keep=keep)
        self._now = now
        self._rng = rng
        self._served = {(kind.group, kind.plural) for kind in kinds}
        self._admission = admission
        self._owned: dict[str, set[tuple[Kind[Any], str]]] = {}
        self._uids: set[str] = set()
        for name in NAMESPACES:
            self.create(NAMESPACE, {"metadata": {"name": name}})

    @property
    def now(self) -> datetime:
        """The server's time."""
        return self._now()

    def listen(self, listener: Callable[[Occurrence], None]) -> None:
        """Tell the listener of every change, at once and in order."""
        self.history.listen(listener)

    def find(self, kind: Kind[Any], name: str, *, namespace: str = "") -> Manifest | None:
        """The object, or None when there is none."""
        stored = self.history.table(kind).get(key_of(kind, name, namespace))
        return stored.manifest if stored else None

    def stored(self, kind: Kind[Any], name: str, *, namespace: str = "") -> Stored:
        """The object in the version that is stored.

        Raises:
            NotFound: when there is none, or no such kind is served.
        """
        self.check_served(kind)
        key = key_of(kind, name, namespace)
        found = self.history.table(kind).get(key)
        if found is None:
            raise NotFound(f'{kind.plural} "{key}" not found')
        return found

    def get(self, kind: Kind[Any], name: str, *, namespace: str = "") -> Manifest:
        """The object.

        Raises:
            NotFound: when there is none.
        """
        return self.stored(kind, name, namespace=namespace).manifest

    def list(self, kind: Kind[Any]) -> Sequence[Manifest]:
        """All objects of the kind, by key."""
        self.check_served(kind)
        return [stored.manifest for _, stored in sorted(self.history.table(kind).items())]

    def create(self, kind: Kind[Any], manifest: Manifest) -> Manifest:
        """The object as it was stored.

        Raises:
            AlreadyExists: when the name is taken.
            NotFound: when its namespace does not exist.
            Refused: when it is not valid.
        """
        self.check_served(kind)
        asked = self._named(kind, without_nulls(copied(manifest)))
        key = key_of(kind, meta(asked)["name"], meta(asked).get("namespace", ""))
        if key in self.history.table(kind):
            raise AlreadyExists(f'{kind.plural} "{key}" already exists')
        if has_status(kind) and not same(kind, NODE):
            asked.pop("status", None)
        admitted = plugins.created(kind, asked, self._classes(kind))
        admitted = dict(self._admission(kind, admitted, None))
        fields: dict[str, Any] = {"uid": new_uid(self._rng), "creationTimestamp": format_time(self._now())}
        if has_status(kind) or "spec" in admitted:
            fields["generation"] = 1
        stored = self._store(ChangeType.ADDED, kind, key, with_meta(admitted, **fields))
        if owner_uids(stored) and not any(uid in self._uids for uid in owner_uids(stored)):
            self._collect(kind, key)
        return stored

    def patch(
        self,
        kind: Kind[Any],
        name: str,
        patch: Manifest,
        *,
        namespace: str = "",
        subresource: str = "",
        resource_version: str = "",
    ) -> Manifest:
        """The object after the merge patch; a patch that changes nothing is not a change.

        Raises:
            NotFound: when there is none.
            Conflict: when it is at another version, or another object by uid.
            Refused: when the result is not valid.
        """
        present = self.get(kind, name, namespace=namespace)
        self._check_preconditions(present, patch, resource_version)
        after = patched(kind, present, copied_patch(patch), subresource)
        self._check_finalizers(present, after)
        if same(kind, POD) and not subresource:
            plugins.changed_pod(present, after)
        after = dict(self._admission(kind, after, present))
        if after == present:
            return present
        if not subresource and "generation" in meta(present) and spec_differs(kind, present, after):
            after = with_meta(after, generation=meta(present)["generation"] + 1)
        key = key_of(kind, name, namespace)
        if self._is_free_to_go(after):
            return self._remove(kind, key, after)
        return self._store(ChangeType.MODIFIED, kind, key, after)

    def delete(
        self,
        kind: Kind[Any],
        name: str,
        *,
        namespace: str = "",
        uid: str = "",
        grace_period_s: int | None = None,
    ) -> None:
        """The object is gone, or marked as going while finalizers or a pod's grace hold it.

        Raises:
            NotFound: when there is none.
            Conflict: when `uid` is another object's.
        """
        present = self.get(kind, name, namespace=namespace)
        if uid and meta(present)["uid"] != uid:
            raise Conflict(f"the uid in the precondition ({uid}) is not the object's ({meta(present)['uid']})")
        grace_s = self._grace_s(kind, present, grace_period_s)
        going = self._going(present, grace_s)
        key = key_of(kind, name, namespace)
        if self._is_free_to_go(going):
            self._remove(kind, key, going)
        elif going != present:
            self._store(ChangeType.MODIFIED, kind, key, going)

    def bind(self, name: str, node: str, *, namespace: str) -> None:
        """The pod belongs to the node.

        Raises:
            NotFound: when there is no such pod.
            Conflict: when it is bound or going.
        """
        pod = self.get(POD, name, namespace=namespace)
        if pod["spec"].get("nodeName") or "deletionTimestamp" in meta(pod):
            raise Conflict(f"pod {namespace}/{name} is bound or going")
        bound = {**pod, "spec": {**pod["spec"], "nodeName": node}}
        self._store(ChangeType.MODIFIED, POD, key_of(POD, name, namespace), bound)

    def forget_history(self, kind: Kind[Any], *, but: int = 0) -> None:
        """All but the newest changes of the kind can no longer be asked for."""
        log = self.history.log(kind)
        log.forget(len(log.changes) - but)

    def check_served(self, kind: Kind[Any]) -> None:
        """Only kinds that are served can be asked for.

        Raises:
            NotFound: when the kind is not served (its CRD is not there).
        """
        if (kind.group, kind.plural) not in self._served:
            raise NotFound(f"the server could not find the requested resource ({kind.plural}.{kind.group})")

    def _named(self, kind: Kind[Any], manifest: dict[str, Any]) -> dict[str, Any]:
        given = dict(meta(manifest))
        if not given.get("name"):
            if not given.get("generateName"):
                raise Refused(
                    f"{kind.name} is invalid: metadata.name: Required value: name or generateName is required"
                )
            given["name"] = generated_name(given["generateName"], self._rng)
        if kind.is_namespaced:
            namespace = given.setdefault("namespace", "default")
            if namespace not in self.history.table(NAMESPACE):
                raise NotFound(f'namespaces "{namespace}" not found')
        else:
            given.pop("namespace", None)
        for field in ("uid", "resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds"):
            given.pop(field, None)
        return {**manifest, "apiVersion": kind.api_version, "kind": kind.name, "metadata": given}

    def _classes(self, kind: Kind[Any]) -> Sequence[Manifest]:
        if same(kind, POD):
            return self.list(PRIORITY_CLASS)
        return self.list(STORAGE_CLASS) if same(kind, PERSISTENT_VOLUME_CLAIM) else ()

    def _store(self, type_: ChangeType, kind: Kind[Any], key: str, manifest: Manifest) -> Manifest:
        self.history.revision += 1
        versioned = with_meta(manifest, resourceVersion=str(self.history.revision))
        before = self.history.table(kind).get(key)
        self._index_owners(kind, key, before.manifest if before else None, versioned)
        self.history.record(type_, kind, key, Stored(versioned, self.history.revision), self._now())
        return versioned

    def _remove(self, kind: Kind[Any], key: str, manifest: Manifest) -> Manifest:
        uid = meta(manifest)["uid"]
        gone = self._store(ChangeType.DELETED, kind, key, manifest)
        self._index_owners(kind, key, gone, None)
        for dependent, dependent_key in sorted(self._owned.pop(uid, ()), key=lambda each: (each[0].name, each[1])):
            self._collect(dependent, dependent_key)
        return gone

    def _index_owners(self, kind: Kind[Any], key: str, before: Manifest | None, after: Manifest | None) -> None:
        old, new = (owner_uids(each) if each else [] for each in (before, after))
        for uid in set(old) - set(new):
            self._owned.get(uid, set()).discard((kind, key))
        for uid in new:
            self._owned.setdefault(uid, set()).add((kind, key))
        for manifest, keep in ((before, self._uids.discard), (after, self._uids.add)):
            if manifest is not None:
                keep(meta(manifest)["uid"])

    def _collect(self, kind: Kind[Any], key: str) -> None:
        """Background collection: a dependent without any living owner goes; one with another loses the reference."""
        stored = self.history.table(kind).get(key)
        if stored is None:
            return
        given = meta(stored.manifest)
        name, namespace = given["name"], given.get("namespace", "")
        living = [owner for owner in given.get("ownerReferences") or () if owner.get("uid") in self._uids]
        if living:
            self.patch(kind, name, {"metadata": {"ownerReferences": living}}, namespace=namespace)
        else:
            self.delete(kind, name, namespace=namespace)

    def _grace_s(self, kind: Kind[Any], manifest: Manifest, asked_s: int | None) -> int:
        spec, status = manifest.get("spec") or {}, manifest.get("status") or {}
        if not same(kind, POD) or not spec.get("nodeName") or status.get("phase") in {"Succeeded", "Failed"}:
            return 0
        if asked_s is not None:
            return asked_s
        stated: int = meta(manifest).get("deletionGracePeriodSeconds", spec.get("terminationGracePeriodSeconds", 30))
        return stated

    def _going(self, manifest: Manifest, grace_s: int) -> dict[str, Any]:
        """The object with its deletion under way; a later one only makes the grace shorter."""
        given = meta(manifest)
        deadline = parse_time(given.get("deletionTimestamp"))
        began = self._now()
        if deadline is not None:
            before_s = given.get("deletionGracePeriodSeconds", 0)
            if grace_s >= before_s:
                return dict(manifest)
            began = deadline - timedelta(seconds=before_s)
        fields: dict[str, Any] = {
            "deletionTimestamp": format_time(began + timedelta(seconds=grace_s)),
            "deletionGracePeriodSeconds": grace_s,
        }
        if "generation" in given and deadline is None:
            fields["generation"] = given["generation"] + 1
        return with_meta(manifest, **fields)

    @staticmethod
    def _is_free_to_go(manifest: Manifest) -> bool:
        given = meta(manifest)
        return (
            "deletionTimestamp" in given
            and not given.get("finalizers")
            and not given.get("deletionGracePeriodSeconds", 0)
        )

    @staticmethod
    def _check_preconditions(present: Manifest, patch: Manifest, resource_version: str) -> None:
        given = meta(present)
        wanted = resource_version or meta(patch).get("resourceVersion")
        if wanted and wanted != given["resourceVersion"]:
            raise Conflict(f"the object has been modified: {wanted} is not {given['resourceVersion']}")
        uid = meta(patch).get("uid")
        if uid and uid != given["uid"]:
            raise Conflict(f"the uid in the precondition ({uid}) is not the object's ({given['uid']})")

    @staticmethod
    def _check_finalizers(before: Manifest, after: Manifest) -> None:
        given = meta(before)
        added = set(meta(after).get("finalizers") or ()) - set(given.get("finalizers") or ())
        if "deletionTimestamp" in given and added:
            raise Refused(
                "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, "
                f"found new finalizers {sorted(added)}"
            )
