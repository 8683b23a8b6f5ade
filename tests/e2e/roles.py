"""What the chart's roles allow, as the API server has them, to be held against what was asked for."""

from collections.abc import Iterator
from typing import Any

import yaml

from tests.e2e.audit import Asked
from tests.e2e.stage import Stage


def granted(stage: Stage, release: str) -> set[Asked]:
    """What the roles allow that are bound to the account of the release's controller."""
    roles = yaml.safe_load(stage.kubectl("get", "clusterroles,roles", "--all-namespaces", "--output=yaml"))["items"]
    return {
        asked
        for role in roles
        if role["metadata"]["name"] in {release, f"{release}-dns"}
        for rule in role["rules"]
        for asked in _of_rule(rule)
    }


def _of_rule(rule: dict[str, Any]) -> Iterator[Asked]:
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            name, _, subresource = resource.partition("/")
            yield from (Asked(verb, group, name, subresource) for verb in rule["verbs"])
