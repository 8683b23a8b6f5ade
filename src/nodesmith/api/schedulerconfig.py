"""kube-scheduler's default topology spread, told to nodesmith so that it plans as the scheduler will bind."""

from __future__ import annotations

from typing import Any, Final

import yaml

from nodesmith.api.likeness import did_you_mean
from nodesmith.model.pod import DO_NOT_SCHEDULE, SCHEDULE_ANYWAY, TopologySpreadConstraint

_FIELDS: Final = ("maxSkew", "topologyKey", "whenUnsatisfiable", "minDomains", "nodeAffinityPolicy", "nodeTaintsPolicy")
_REFUSED: Final = ("labelSelector", "matchLabelKeys")


def parse_scheduler_config(text: str) -> tuple[TopologySpreadConstraint, ...]:
    """The default constraints of a YAML or JSON text; their selector is None until a pod gives it.

    Raises:
        ValueError: with everything that is wrong, separated by semicolons.
    """
    if not text.strip():
        return ()
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {str(error).splitlines()[0]}") from None
    faults: list[str] = []
    spread = _only(data, "podTopologySpread", "the document", faults)
    listed = _only(spread, "defaultConstraints", "podTopologySpread", faults)
    if listed is not None and not isinstance(listed, list):
        faults.append("defaultConstraints must be a list")
        listed = None
    constraints = [_constraint(each, index, faults) for index, each in enumerate(listed or ())]
    pairs = [(each.topology_key, each.when_unsatisfiable) for each in constraints]
    faults.extend(
        f"{pair[0]} with {pair[1]} is listed twice" for pair in sorted({p for p in pairs if pairs.count(p) > 1})
    )
    if faults:
        raise ValueError("; ".join(faults))
    return tuple(constraints)


def _only(value: Any, name: str, where: str, faults: list[str]) -> Any:
    """The member of an object that may have no other."""
    if value is None:
        return None
    if not isinstance(value, dict):
        faults.append(f"{where} must be an object")
        return None
    faults.extend(f"`{other}` is not a field of {where}" for other in value if other != name)
    return value.get(name)


def _constraint(raw: Any, index: int, faults: list[str]) -> TopologySpreadConstraint:
    here = f"defaultConstraints[{index}]"
    if not isinstance(raw, dict):
        faults.append(f"{here} must be an object")
        raw = {}
    for name in raw:
        if name in _REFUSED:
            faults.append(f"{here}.{name} may not be set: it comes from the pod")
        elif name not in _FIELDS:
            faults.append(" ".join(filter(None, (f"{here}.{name} is not a field;", did_you_mean(name, _FIELDS)))))
    skew, key, when = raw.get("maxSkew"), raw.get("topologyKey"), raw.get("whenUnsatisfiable")
    if not isinstance(skew, int) or isinstance(skew, bool) or skew < 1:
        faults.append(f"{here}.maxSkew must be a number above 0")
    if not isinstance(key, str) or not key:
        faults.append(f"{here}.topologyKey must be a label key")
    if when not in {DO_NOT_SCHEDULE, SCHEDULE_ANYWAY}:
        faults.append(f"{here}.whenUnsatisfiable must be {DO_NOT_SCHEDULE} or {SCHEDULE_ANYWAY}")
    return TopologySpreadConstraint(
        topology_key=str(key),
        max_skew=skew if isinstance(skew, int) else 1,
        when_unsatisfiable=str(when),
        selector=None,
        min_domains=raw.get("minDomains"),
        honor_node_affinity=raw.get("nodeAffinityPolicy") != "Ignore",
        honor_node_taints=raw.get("nodeTaintsPolicy") == "Honor",
    )
