"""Label selectors and node selector terms as manifests have them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nodesmith.model.pod import NodeSelectorTerm
from nodesmith.model.selector import LabelSelector


def label_selector(selector: LabelSelector | None) -> dict[str, Any] | None:
    """The selector; None where there is none."""
    if selector is None:
        return None
    expressions = [
        {"key": each.key, "operator": each.operator} | ({"values": list(each.values)} if each.values else {})
        for each in selector.expressions
    ]
    return {"matchExpressions": expressions} if expressions else {}


def node_term(term: NodeSelectorTerm) -> dict[str, Any]:
    """The term; one that nothing can satisfy is written as an empty one, which means the same."""
    is_impossible = any(each.gte is not None and each.lte is not None and each.gte > each.lte for each in term)
    if is_impossible:
        return {}
    return {"matchExpressions": [stated for each in term for stated in each.to_manifest()]}


def node_selector(terms: Iterable[NodeSelectorTerm]) -> dict[str, Any] | None:
    """The ORed terms; None where there are none."""
    listed = [node_term(term) for term in terms]
    return {"nodeSelectorTerms": listed} if listed else None
