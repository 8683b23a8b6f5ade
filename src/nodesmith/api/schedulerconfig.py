"""kube-scheduler's default topology spread, told to nodesmith so that it plans as the scheduler will bind.

Two forms are read: Karpenter's, which has the constraints alone, and kube-scheduler's own KubeSchedulerConfiguration.
"""

from __future__ import annotations

from typing import Any, Final

import yaml

from nodesmith.api.likeness import did_you_mean
from nodesmith.model.labels import HOSTNAME, ZONE
from nodesmith.model.pod import DO_NOT_SCHEDULE, SCHEDULE_ANYWAY, TopologySpreadConstraint

_FIELDS: Final = ("maxSkew", "topologyKey", "whenUnsatisfiable", "minDomains", "nodeAffinityPolicy", "nodeTaintsPolicy")
_REFUSED: Final = ("labelSelector", "matchLabelKeys")
_KIND: Final = "KubeSchedulerConfiguration"
_PLUGIN: Final = "PodTopologySpread"
_MAIN: Final = "default-scheduler"
_SYSTEM: Final = (
    TopologySpreadConstraint(HOSTNAME, 3, SCHEDULE_ANYWAY, selector=None),
    TopologySpreadConstraint(ZONE, 5, SCHEDULE_ANYWAY, selector=None),
)
"""What kube-scheduler spreads by where its configuration lists nothing (`defaultingType: System`)."""


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
    if isinstance(data, dict) and data.get("kind") == _KIND:
        arguments = _arguments(data, faults)
        if arguments.get("defaultingType", "System") == "System" and not faults:
            if arguments.get("defaultConstraints"):
                raise ValueError("defaultConstraints are listed, and not heeded without `defaultingType: List`")
            return _SYSTEM
        listed = arguments.get("defaultConstraints")
    else:
        spread = _only(data, "podTopologySpread", "the document", faults)
        listed = _only(spread, "defaultConstraints", "podTopologySpread", faults)
    return _constraints(listed, faults)


def _constraints(listed: Any, faults: list[str]) -> tuple[TopologySpreadConstraint, ...]:
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


def _arguments(data: dict[str, Any], faults: list[str]) -> dict[str, Any]:
    """What the profile of pods that name no scheduler says about its plugin for spread; empty where it says nothing."""
    for profile in _objects(data.get("profiles"), "profiles", faults):
        if profile.get("schedulerName", _MAIN) == _MAIN:
            for plugin in _objects(profile.get("pluginConfig"), "pluginConfig", faults):
                if plugin.get("name") == _PLUGIN and isinstance(plugin.get("args"), dict):
                    return dict(plugin["args"])
    return {}


def _objects(value: Any, where: str, faults: list[str]) -> list[dict[str, Any]]:
    if value is not None and not isinstance(value, list):
        faults.append(f"{where} must be a list")
        return []
    return [each for each in value or () if isinstance(each, dict)]


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
