"""The law of the store: whatever the interleaving and repetition of events, it ends at what a list says."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from nodesmith.model.labels import INSTANCE_TYPE, NODEPOOL
from nodesmith.model.meta import ObjectMeta
from nodesmith.model.node import Node
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.pod import Pod, PodSpec
from nodesmith.state.snapshot import Snapshot
from nodesmith.state.store import SNAPSHOT_TYPES, Store

Value = Node | NodeClaim | Pod
Event = tuple[type[Value], Value, bool]
"""What happened, as (kind, value, is_deleted)."""
Alive = Mapping[tuple[type[Value], str], Value]

NOW = datetime(2026, 11, 1, tzinfo=UTC)
NAMES = st.sampled_from(("a", "b", "c"))
PROVIDER_IDS = st.sampled_from(("", "aws:///z/i-1", "aws:///z/i-2"))
LABELS: st.SearchStrategy[dict[str, str]] = st.sampled_from(({}, {NODEPOOL: "p"}, {NODEPOOL: "p", INSTANCE_TYPE: "t"}))
SPEC = PodSpec()


@st.composite
def values(draw: st.DrawFn) -> tuple[type[Value], str, Callable[[str], Value]]:
    """A kind and a function from a resource version to a value of it."""
    name = draw(NAMES)
    match draw(st.sampled_from((Node, NodeClaim, Pod))):
        case kind if kind is Node:
            provider_id, labels = draw(PROVIDER_IDS), draw(LABELS)
            return Node, name, lambda v: Node(ObjectMeta(name, resource_version=v, labels=labels), provider_id)
        case kind if kind is NodeClaim:
            provider_id = draw(PROVIDER_IDS)
            return NodeClaim, name, lambda v: NodeClaim(ObjectMeta(name, resource_version=v), provider_id=provider_id)
        case _:
            node, phase = draw(st.sampled_from(("", "a", "b"))), draw(st.sampled_from(("Running", "Failed")))
            return Pod, name, lambda v: Pod(ObjectMeta(name, resource_version=v), SPEC, node, phase)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Event], Alive]:
    """What an API server did, in order, and what is there at the end."""
    alive: dict[tuple[type[Value], str], Value] = {}
    events: list[Event] = []
    for version, (kind, name, make) in enumerate(draw(st.lists(values(), max_size=25)), start=1):
        is_deleted = (kind, name) in alive and draw(st.booleans())
        value = make(str(version))
        events.append((kind, value, is_deleted))
        if is_deleted:
            del alive[kind, name]
        else:
            alive[kind, name] = value
    return events, alive


def store_of(alive: Alive) -> Store:
    store = Store()
    for kind in SNAPSHOT_TYPES:
        store.replace(kind, [value for (each, _), value in alive.items() if each is kind])
    return store


def empty() -> Store:
    return store_of({})


def facts(store: Store) -> tuple[Snapshot, bool]:
    snapshot = store.snapshot(NOW)
    return snapshot, store.is_synced


@given(history=histories(), data=st.data())
def test_any_interleaving_and_repetition_of_events_ends_at_the_list(
    history: tuple[list[Event], Alive], data: st.DataObject
) -> None:
    events, alive = history
    streams: dict[tuple[type[Value], str], list[Event]] = {}
    for event in events:
        streams.setdefault((event[0], event[1].meta.key), []).append(event)
    store = empty()
    told: list[Event] = []
    while streams:
        key = data.draw(st.sampled_from(sorted(streams, key=str)))
        event = streams[key].pop(0)
        if not streams[key]:
            del streams[key]
        told.append(event)
        again = data.draw(st.lists(st.sampled_from(told), max_size=2))
        for kind, value, is_deleted in (event, *again):
            store.apply(kind, value, is_deleted=is_deleted)
        if data.draw(st.booleans()):
            store.snapshot(NOW)
    assert facts(store) == facts(store_of(alive))


@given(history=histories(), cut=st.integers(0, 25))
def test_a_list_in_the_middle_makes_no_difference(history: tuple[list[Event], Alive], cut: int) -> None:
    events, alive = history
    store = empty()
    known: dict[tuple[type[Value], str], Value] = {}
    for kind, value, is_deleted in events[:cut]:
        if is_deleted:
            known.pop((kind, value.meta.key))
        else:
            known[kind, value.meta.key] = value
    for kind in (Node, NodeClaim, Pod):
        store.replace(kind, [value for (each, _), value in known.items() if each is kind])
    for kind, value, is_deleted in events[cut:]:
        store.apply(kind, value, is_deleted=is_deleted)
    assert facts(store) == facts(store_of(alive))


@given(history=histories())
def test_a_list_reports_exactly_the_keys_that_differ(history: tuple[list[Event], Alive]) -> None:
    events, alive = history
    store = empty()
    for kind, value, is_deleted in events[: len(events) // 2]:
        store.apply(kind, value, is_deleted=is_deleted)
    for kind in (Node, NodeClaim, Pod):
        before = {value.meta.key: value for value in store.all(kind)}
        after = {key: value for (each, key), value in alive.items() if each is kind}
        changed = store.replace(kind, after.values())
        assert changed == {key for key in before | after if before.get(key) != after.get(key)}
