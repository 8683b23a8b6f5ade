"""Claims that are alike are planned once, and no answer is remembered for a claim that differs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nodesmith.adapters.aws.launchmemo import LaunchMemo
from nodesmith.adapters.aws.offers import Catalogue
from nodesmith.adapters.aws.planlaunch import Frame, LaunchPlan, choose, plan_launch
from nodesmith.model.labels import ZONE
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.model.taints import Taint
from nodesmith.ports.errors import CapacityUnavailable
from tests.unit.adapters.aws.test_launch import CASES, CLUSTER, SETTINGS, place_of, read, types_of

BROADEST = max(CASES.values(), key=lambda case: len(json.dumps(case["createFleet"] or "")))
CLAIM, NODE_CLASS = read(BROADEST)
PLACE = place_of(NODE_CLASS)
CATALOGUE = Catalogue(tuple(types_of(NODE_CLASS, PLACE)), place=PLACE)
FRAME = Frame(SETTINGS, CLUSTER, PLACE)
SUBNETS = {each.zone: each.id for each in NODE_CLASS.status.subnets}


def planned(memo: LaunchMemo, claim: NodeClaim, catalogue: Catalogue = CATALOGUE) -> LaunchPlan:
    chosen = memo.choose(claim, NODE_CLASS, catalogue)
    return memo.plan(claim, NODE_CLASS, chosen, FRAME, SUBNETS)


def test_alike_is_planned_once() -> None:
    memo = LaunchMemo()
    another = replace(CLAIM, meta=replace(CLAIM.meta, name="another", uid="other"))
    assert planned(memo, CLAIM) is planned(memo, another)


@pytest.mark.parametrize(
    "claim",
    [
        replace(CLAIM, meta=replace(CLAIM.meta, labels={**CLAIM.labels, "team": "web"})),
        replace(CLAIM, taints=(Taint("web", "NoSchedule", "yes"),)),
        replace(CLAIM, startup_taints=(Taint("web", "NoSchedule", "yes"),)),
        replace(CLAIM, requests={**CLAIM.requests, "memory": 2**36}),
        replace(
            CLAIM,
            requirements=CLAIM.requirements & Requirements.of([Requirement(ZONE, frozenset({min(SUBNETS)}))]),
        ),
    ],
    ids=["labels", "taints", "startup taints", "requests", "requirements"],
)
def test_what_differs_is_planned_as_if_nothing_were_remembered(claim: NodeClaim) -> None:
    memo = LaunchMemo()
    first = planned(memo, CLAIM)
    made = planned(memo, claim)
    wanted = plan_launch(claim, NODE_CLASS, choose(claim, CATALOGUE.types), FRAME, SUBNETS)
    assert made == wanted
    assert made.key != first.key


def test_another_catalogue_is_looked_at_afresh() -> None:
    memo = LaunchMemo()
    planned(memo, CLAIM)
    with pytest.raises(CapacityUnavailable):
        planned(memo, CLAIM, Catalogue((), place=PLACE))
