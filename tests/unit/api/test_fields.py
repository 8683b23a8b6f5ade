"""Every field of NodePool, NodeClaim and EC2NodeClass against right and wrong values: lint, defaults, completeness."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from nodesmith.adapters.memory.crds import admit
from nodesmith.api.documents import read_documents
from nodesmith.api.kinds import EC2_NODE_CLASS, NODE_CLAIM, NODE_POOL
from nodesmith.api.schema import Schema, Type, schema_of
from nodesmith.api.served import BY_KIND_NAME
from nodesmith.api.validation import validate
from tests.unit.api.field_cases import BASES, Case, cases

CASES = [(kind, case) for kind in BASES for case in cases(kind)]


def errors(case: Case) -> list[str]:
    reading = read_documents(json.dumps(case.manifest), "x.yaml")
    assert not reading.faults
    return [str(fault) for document in reading.documents for fault in validate(document) if fault.is_error]


def test_lint_takes_what_is_right_and_refuses_what_is_wrong() -> None:
    misjudged = {f"{kind} {case.name}": told for kind, case in CASES if bool(told := errors(case)) is case.is_right}
    assert misjudged == {}
    assert len(CASES) > 600


def test_each_fault_is_a_line_and_a_hint() -> None:
    for kind, case in CASES:
        for told in errors(case):
            line, _, hint = told.partition("\n\nhint: ")
            assert line.startswith("error: x.yaml:1: `"), (kind, case.name, told)
            assert hint, (kind, case.name, told)
            assert "\n" not in line + hint, (kind, case.name, told)


def fields_of(schema: Schema, path: str = "") -> Iterator[str]:
    if schema.type is Type.OBJECT:
        for name, inner in schema.fields.items():
            yield from fields_of(inner, f"{path}.{name}" if path else name)
    elif schema.items is not None and schema.type is Type.ARRAY:
        yield from fields_of(schema.items, path)
    else:
        yield path


def named(value: Any, path: str = "") -> Iterator[str]:
    if path:
        yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from named(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for inner in value:
            yield from named(inner, path)


@pytest.mark.parametrize("kind", BASES)
def test_no_field_is_without_a_right_case(kind: str) -> None:
    spec = schema_of(BY_KIND_NAME[kind].struct).fields["spec"]
    tried = {
        path
        for _, case in CASES
        if case.manifest["kind"] == kind and case.is_right
        for path in named(case.manifest["spec"])
    }
    assert set(fields_of(spec)) - tried == set()


@pytest.mark.parametrize("kind", BASES)
def test_the_memory_server_judges_as_lint_does_and_its_defaults_are_right_themselves(kind: str) -> None:
    served = BY_KIND_NAME[kind].kind
    for case in cases(kind):
        if case.is_right:
            filled = admit(served, case.manifest, None)
            again = Case("again", json.loads(json.dumps(filled)), is_right=True)
            assert errors(again) == [], case.name


def test_defaults_are_the_specification_s() -> None:
    def filled(kind: str) -> Any:
        api_version, spec, _ = BASES[kind]
        manifest = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}, "spec": spec}
        return admit(BY_KIND_NAME[kind].kind, manifest, None)["spec"]

    pool = filled("NodePool")
    assert pool["disruption"] == {
        "budgets": [{"nodes": "10%"}],
        "consolidateAfter": "0s",
        "consolidationPolicy": "WhenEmptyOrUnderutilized",
    }
    assert pool["template"]["spec"]["expireAfter"] == "720h"
    assert set(pool) == {"disruption", "template"}
    assert set(pool["template"]["spec"]) == {"expireAfter", "nodeClassRef", "requirements"}
    assert filled("NodeClaim") == {**BASES["NodeClaim"][1], "expireAfter": "720h"}
    assert filled("EC2NodeClass") == {
        **BASES["EC2NodeClass"][1],
        "metadataOptions": {
            "httpEndpoint": "enabled",
            "httpProtocolIPv6": "disabled",
            "httpPutResponseHopLimit": 1,
            "httpTokens": "required",
        },
    }


@pytest.mark.parametrize("kind", [NODE_POOL, NODE_CLAIM, EC2_NODE_CLASS], ids=lambda kind: kind.name)
def test_what_is_right_decodes(kind: Any) -> None:
    for case in cases(kind.name):
        if case.is_right:
            assert kind.decode(case.manifest).meta.name == "a", case.name
