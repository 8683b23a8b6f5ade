import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodesmith.adapters.kubernetes.frames import ChangeReader, read_object, read_page
from nodesmith.api.kinds import CONFIG_MAP, POD
from nodesmith.ports.cluster import ChangeType
from nodesmith.ports.errors import Expired, Unavailable


def line(change: str, name: str, version: str) -> bytes:
    return json.dumps({"type": change, "object": object_of(name, version)}).encode() + b"\n"


def object_of(name: str, version: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": version}, "data": {"text": "two\nlines, 한국어"}}


THREE = line("ADDED", "a", "1") + line("MODIFIED", "a", "2") + line("DELETED", "a", "3")


@given(st.lists(st.integers(0, len(THREE)), max_size=8))
def test_changes_do_not_depend_on_how_the_bytes_were_cut(cuts: list[int]) -> None:
    reader = ChangeReader(CONFIG_MAP, "watch configmaps")
    edges = [0, *sorted(cuts), len(THREE)]
    changes = [change for a, b in pairwise(edges) for change in reader.feed(THREE[a:b])]
    assert [(c.type, c.resource_version) for c in changes] == [
        (ChangeType.ADDED, "1"),
        (ChangeType.MODIFIED, "2"),
        (ChangeType.DELETED, "3"),
    ]
    assert all(c.value == object_of("a", c.resource_version) for c in changes)


def test_a_bookmark_has_a_version_and_no_object() -> None:
    [change] = ChangeReader(CONFIG_MAP, "watch").feed(
        b'{"type":"BOOKMARK","object":{"kind":"ConfigMap","metadata":{"resourceVersion":"9","creationTimestamp":null}}}\n'
    )
    assert (change.type, change.value, change.resource_version) == (ChangeType.BOOKMARK, None, "9")


def test_a_version_too_old_comes_through_the_watch() -> None:
    gone = b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}\n'
    with pytest.raises(Expired, match="watch configmaps: too old"):
        ChangeReader(CONFIG_MAP, "watch configmaps").feed(gone)


@pytest.mark.parametrize(
    "nonsense", [b"not json\n", b'{"type":"ADDED","object":{}}\n', b'{"type":"NEW","object":{"metadata":{}}}\n']
)
def test_what_cannot_be_read_breaks_the_watch_and_not_the_program(nonsense: bytes) -> None:
    with pytest.raises(Unavailable):
        ChangeReader(CONFIG_MAP, "watch").feed(nonsense)


@pytest.mark.parametrize("generation", [3, "three"])
def test_an_answer_is_read_as_its_whole_is_whatever_types_its_parts_have(generation: Any) -> None:
    metadata = {"name": "a", "namespace": "b", "generation": generation, "managedFields": [{}]}
    pod = {"metadata": metadata, "spec": {"nodeName": "n"}, "status": {"phase": "Running"}}
    assert read_object(POD, json.dumps(pod).encode()) == POD.decode(pod)


def test_a_page_has_its_items_its_version_and_what_comes_next() -> None:
    body = {
        "kind": "ConfigMapList",
        "metadata": {"resourceVersion": "5", "continue": "c"},
        "items": [object_of("a", "4")],
    }
    page = read_page(CONFIG_MAP, json.dumps(body).encode())
    assert (page.items, page.resource_version, page.continue_token) == ([object_of("a", "4")], "5", "c")
    assert read_page(CONFIG_MAP, b'{"metadata":{"resourceVersion":"1"},"items":null}').items == []
