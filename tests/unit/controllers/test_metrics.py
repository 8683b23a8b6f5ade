"""Every number that the controllers tell has upstream's name and labels: the catalogue says which those are."""

import ast
from collections.abc import Iterator
from pathlib import Path

import nodesmith
from nodesmith.adapters.telemetry.catalog import BY_NAME, MetricType

METHODS = {
    "count": {MetricType.COUNTER},
    "set": {MetricType.GAUGE},
    "observe": {MetricType.HISTOGRAM, MetricType.SUMMARY},
}


def _calls() -> Iterator[tuple[str, ast.Call, str]]:
    folder = Path(str(nodesmith.__file__)).parent
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Constant) and isinstance(first.value, str) and "_" in first.value:
                    yield f"{path.name}:{node.lineno}", node, first.value


def test_every_metric_is_in_the_catalogue_by_its_type() -> None:
    calls = list(_calls())
    assert len(calls) > 30
    for where, call, name in calls:
        assert name in BY_NAME, f"{where}: {name}"
        assert isinstance(call.func, ast.Attribute)
        assert BY_NAME[name].type in METHODS[call.func.attr], f"{where}: {name}"


def test_labels_that_are_spelled_out_are_upstreams() -> None:
    for where, call, name in _calls():
        spelled = {keyword.arg for keyword in call.keywords if keyword.arg is not None}
        assert spelled <= set(BY_NAME[name].labels), f"{where}: {name} {spelled}"
        if all(keyword.arg is not None for keyword in call.keywords):
            assert spelled == set(BY_NAME[name].labels), f"{where}: {name} lacks labels"
