"""Images on the box: by every kind of term, and what becomes of one that is deprecated."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from nodesmith.adapters.clock import RealClock
from nodesmith.install.policies import document
from tests.functional.aws.conftest import NAMES, REGION, SPEC, Bench

ALIAS = "/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/arm64/standard/recommended/image_id"


def own(*terms: dict[str, Any]) -> dict[str, Any]:
    return {**SPEC, "amiFamily": "AL2023", "amiSelectorTerms": list(terms)}


def register(bench: Bench, name: str, arch: str = "arm64", **tags: str) -> str:
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    tagged = [{"ResourceType": "image", "Tags": listed}] if tags else []
    made = bench.owner("ec2").register_image(
        Name=name, Architecture=arch, RootDeviceName="/dev/xvda", TagSpecifications=tagged
    )
    return str(made["ImageId"])


async def found(bench: Bench, *terms: dict[str, Any]) -> list[str]:
    return [each.id for each in (await bench.cloud.resolve(bench.node_class(own(*terms)))).amis]


async def test_images_are_found_by_id_name_tags_and_owner(bench: Bench) -> None:
    web, db = register(bench, "web-1", team="web"), register(bench, "db-1", "x86_64", team="db", tier="gold")
    assert await found(bench, {"id": web}) == [web]
    assert await found(bench, {"name": "web-*"}) == [web]
    assert await found(bench, {"name": "web-*", "owner": NAMES.account}) == [web]
    assert await found(bench, {"name": "web-*", "owner": "999999999999"}) == []
    assert await found(bench, {"tags": {"team": "db"}}) == [db]
    assert await found(bench, {"tags": {"team": "*"}}) == [db, web]
    assert await found(bench, {"tags": {"team": "web", "tier": "gold"}}) == [], "all tags of a term"
    assert await found(bench, {"tags": {"team": "web"}}, {"id": db}) == [db, web], "any of the terms"


@pytest.mark.parametrize("is_allowed", [True, False], ids=["allowed", "not-allowed"])
async def test_a_parameter_of_ones_own_needs_a_permission_of_its_own(
    bench: Bench,
    is_allowed: bool,  # noqa: FBT001 - a table's cell
) -> None:
    image = register(bench, "golden")
    bench.owner("ssm").put_parameter(Name="/images/golden", Value=image, Type="String")
    bench.is_refused = True
    if is_allowed:
        arn = f"arn:aws:ssm:{REGION}:{NAMES.account}:parameter/images/*"
        policy = json.dumps(document({"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": arn}))
        bench.owner("iam").put_role_policy(RoleName=NAMES.controller_role, PolicyName="own", PolicyDocument=policy)
    status = await bench.cloud.resolve(bench.node_class(own({"ssmParameter": "/images/golden"})))
    condition = status.conditions["AMIsReady"]
    assert condition.is_true is is_allowed
    if is_allowed:
        assert [each.id for each in status.amis] == [image]
    else:
        assert condition.reason == "AMIResolutionFailed"
        assert "/images/golden" in condition.message


async def test_a_deprecated_image_is_used_as_long_as_there_is_no_other(bench: Bench) -> None:
    ec2 = bench.owner("ec2")
    old = register(bench, "base-1", team="base")
    ec2.enable_image_deprecation(ImageId=old, DeprecateAt=RealClock().now() - timedelta(hours=1))
    term = {"tags": {"team": "base"}}
    status = await bench.cloud.resolve(bench.node_class(own(term)))
    assert [(each.id, each.deprecated) for each in status.amis] == [(old, True)]
    assert status.conditions["AMIsReady"].is_true
    new = register(bench, "base-2", team="base")
    bench.cloud = bench.another()
    assert await found(bench, term) == [new]


async def test_an_alias_that_leads_to_a_deprecated_image_is_looked_up_again(bench: Bench) -> None:
    """It is believed for a day; when its image is deprecated, the alias may mean another by now."""
    status = await bench.cloud.resolve(bench.node_class(SPEC))
    before = bench.owner("ssm").get_parameter(Name=ALIAS)["Parameter"]["Value"]
    assert before in {each.id for each in status.amis}
    new = register(bench, "newer")
    await asyncio.to_thread(bench.control.put_public_parameter, ALIAS, new)
    images = bench.cloud._resolver._images
    images._found.clear()
    assert new not in {each.id for each in (await bench.cloud.resolve(bench.node_class(SPEC))).amis}
    bench.owner("ec2").enable_image_deprecation(ImageId=before, DeprecateAt=RealClock().now() - timedelta(hours=1))
    images._found.clear()
    await bench.cloud.resolve(bench.node_class(SPEC))
    images._found.clear()
    assert new in {each.id for each in (await bench.cloud.resolve(bench.node_class(SPEC))).amis}
