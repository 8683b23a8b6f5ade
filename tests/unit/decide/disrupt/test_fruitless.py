"""A search that found nothing is not made again over the same cluster, and is made again once anything has changed."""

from dataclasses import replace
from datetime import timedelta

from nodesmith.decide.disrupt.decide import decide
from nodesmith.decide.disrupt.policy import REPLACES_FOR, Policy
from nodesmith.decide.disrupt.verdict import Memory, Verdict
from nodesmith.model.labels import ON_DEMAND
from nodesmith.state.snapshot import Snapshot
from tests.unit.decide.disrupt.build import NOW, catalog, node, pod, pool, snapshot


def full() -> Snapshot:
    """Two nodes that are as good as it gets."""
    nodes = [node(name, "small", pod(f"{name}-0", "1500m"), pod(f"{name}-1", "100m")) for name in ("a", "b")]
    return snapshot(nodes, [pool(capacity_types=[ON_DEMAND])])


def effort(verdict: Verdict) -> int:
    assert verdict.memory.shared is not None
    return verdict.memory.shared.effort


def test_the_same_cluster_is_searched_once_in_half_an_hour_and_told_of_the_same() -> None:
    view = full()
    offered = catalog(view)
    first = decide(view, offered, now=NOW, memory=Memory())
    assert first.command is None
    spent = effort(first)
    assert spent > 0
    again = decide(view, offered, now=NOW + timedelta(minutes=10), memory=first.memory)
    assert (again.command, again.stays) == (None, first.stays)
    assert effort(again) == spent
    later = decide(view, offered, now=NOW + timedelta(minutes=30), memory=again.memory)
    assert effort(later) > spent


def test_a_search_over_several_passes_stands_when_all_were_asked_about() -> None:
    nodes = [node(f"n{index:02d}", "medium", pod(f"w{index}", "3500m")) for index in range(20)]
    view = snapshot(nodes, [pool(capacity_types=[ON_DEMAND])])
    offered, policy = catalog(view), Policy(effort=400)
    whole = decide(view, offered, now=NOW, policy=Policy())
    verdict, spent = decide(view, offered, now=NOW, policy=policy), list[int]()
    while verdict.is_cut_short:
        spent.append(effort(verdict))
        assert len(spent) < len(nodes)
        verdict = decide(view, offered, now=NOW, policy=policy, memory=verdict.memory)
        assert verdict.command is None
    assert len(spent) > 1
    assert verdict.stays == whole.stays, "each is told what came of it alone, in whichever pass"
    done = effort(verdict)
    assert effort(decide(view, offered, now=NOW, policy=policy, memory=verdict.memory)) == done


def test_a_change_between_passes_begins_the_search_anew() -> None:
    nodes = [node(f"n{index:02d}", "medium", pod(f"w{index}", "3500m")) for index in range(20)]
    view = snapshot(nodes, [pool(capacity_types=[ON_DEMAND])])
    offered, policy = catalog(view), Policy(effort=400)
    first = decide(view, offered, now=NOW, policy=policy)
    assert first.memory.fruitless is not None
    changed = replace(view, nodes=(replace(view.nodes[0], pods=()), *view.nodes[1:]))
    again = decide(changed, offered, now=NOW, policy=policy, memory=first.memory)
    assert again.command is not None
    assert again.command.nodes == ("n00",)
    busier = snapshot([*nodes, node("new", "medium", pod("w99", "3500m"))], view.pools)
    onward = decide(busier, offered, now=NOW, policy=policy, memory=first.memory)
    assert onward.memory.fruitless is not None
    asked = {each.name for each in nodes} - first.memory.fruitless.left
    assert asked
    assert asked <= onward.memory.fruitless.left, "the others come first, and those asked before are asked again"


def test_a_change_of_one_node_is_news() -> None:
    view = full()
    offered = catalog(view)
    first = decide(view, offered, now=NOW, memory=Memory())
    spent = effort(first)
    one, other = view.nodes
    emptier = replace(view, nodes=(replace(one, pods=one.pods[:1]), other))
    again = decide(emptier, offered, now=NOW + timedelta(seconds=10), memory=first.memory)
    assert effort(again) > spent


def test_another_allowance_is_news() -> None:
    view = full()
    offered = catalog(view)
    first = decide(view, offered, now=NOW, memory=Memory())
    ground = first.memory.fruitless
    assert ground is not None
    assert not ground.ground.is_as(replace(ground.ground, allowed=ground.ground.allowed[:1]))


def test_a_node_that_has_grown_older_is_news() -> None:
    view = full()
    offered = catalog(view)
    one, other = view.nodes
    assert one.claim is not None
    bought = replace(
        one.claim.meta, annotations={REPLACES_FOR: "Underutilized"}, created_at=NOW - timedelta(minutes=50)
    )
    calming = replace(view, nodes=(replace(one, claim=replace(one.claim, meta=bought)), other))
    first = decide(calming, offered, now=NOW, memory=Memory())
    spent = effort(first)
    again = decide(calming, offered, now=NOW + timedelta(minutes=9), memory=first.memory)
    assert effort(again) == spent
    later = decide(calming, offered, now=NOW + timedelta(minutes=11), memory=first.memory)
    assert effort(later) > spent, "an hour after it was bought it may be replaced itself"


def test_a_promise_of_a_node_is_news_where_it_begins_and_not_where_it_is_renewed() -> None:
    view = full()
    free = node("c", "small", pod("c-0", "1500m"))
    promised = replace(free, nominated_until=NOW + timedelta(seconds=20))
    begun = replace(view, nodes=(*view.nodes, promised))
    offered = catalog(begun)
    before = decide(replace(begun, nodes=(*view.nodes, free)), offered, now=NOW)
    spent = [effort(before)]
    first = decide(begun, offered, now=NOW, memory=before.memory)
    spent.append(effort(first))
    renewed = replace(promised, nominated_until=NOW + timedelta(seconds=30))
    decide(replace(begun, nodes=(*view.nodes, renewed)), offered, now=NOW, memory=first.memory)
    spent.append(effort(first))
    assert spent[0] < spent[1] == spent[2]
