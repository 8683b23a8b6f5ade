"""What was made for nodes goes when nothing uses it any more, whoever made it: launch templates, instance profiles."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from nodesmith.adapters.aws.cloud import AwsCloud
from nodesmith.adapters.aws.tags import profile_tags, tag_list
from nodesmith.adapters.clock import RealClock
from tests.functional.aws.conftest import CLUSTER, REGION, SPEC, Bench, claim_of
from tests.functional.aws.test_node_class import may_pass


class Later(RealClock):
    """A clock that is two hours ahead."""

    def now(self) -> datetime:
        return super().now() + timedelta(hours=2)


def later(cloud: AwsCloud) -> AwsCloud:
    """The cloud two hours later, as far as its upkeep is concerned."""
    cloud._profiles._clock = cloud._upkeep._clock = Later()
    return cloud


def age(cloud: AwsCloud) -> None:
    """A minute passes in which no launch needs a template."""
    known = cloud._templates._known
    for name, (_, value) in list(known._values.items()):
        known._values[name] = (0.0, value)


def templates(bench: Bench) -> set[str]:
    found = bench.owner("ec2").describe_launch_templates()["LaunchTemplates"]
    return {each["LaunchTemplateName"] for each in found}


def profiles(bench: Bench) -> set[str]:
    found = bench.owner("iam").list_instance_profiles()["InstanceProfiles"]
    return {each["InstanceProfileName"] for each in found}


async def test_idle_launch_templates_go(bench: Bench) -> None:
    await bench.cloud.create(claim_of("default-a"))
    assert templates(bench)
    age(bench.cloud)
    await bench.cloud.maintain()
    assert not templates(bench)
    assert (await bench.cloud.create(claim_of("default-b"))).claim_name == "default-b"


async def test_templates_of_an_earlier_leader_go(bench: Bench) -> None:
    """The one that stood by was started long before: it finds them when it begins to lead."""
    standing_by = bench.another()
    await bench.cloud.create(claim_of("default-a"))
    left = templates(bench)
    assert left
    await standing_by.maintain()
    assert templates(bench) == left, "they may be in use by a launch that is under way"
    age(standing_by)
    await standing_by.maintain()
    assert not templates(bench)


async def test_a_template_that_nobody_remembers_is_found_within_half_an_hour(bench: Bench) -> None:
    await bench.cloud.maintain()
    await bench.cloud.create(claim_of("default-a"))
    bench.cloud._templates._known.clear()
    await bench.cloud.maintain()
    age(bench.cloud)
    await bench.cloud.maintain()
    assert templates(bench)
    await later(bench.cloud).maintain()
    age(bench.cloud)
    await bench.cloud.maintain()
    assert not templates(bench)


async def test_templates_of_another_cluster_stay(bench: Bench) -> None:
    await bench.cloud.create(claim_of("default-a"))
    bench.owner("ec2").create_launch_template(
        LaunchTemplateName="karpenter.k8s.aws/1",
        LaunchTemplateData={"ImageId": "ami-1"},
        TagSpecifications=[
            {"ResourceType": "launch-template", "Tags": [{"Key": "eks:eks-cluster-name", "Value": "other"}]}
        ],
    )
    for _ in range(2):
        await bench.cloud.maintain()
        age(bench.cloud)
    assert templates(bench) == {"karpenter.k8s.aws/1"}


async def test_a_new_role_has_a_new_profile_and_the_old_one_is_collected(bench: Bench) -> None:
    before = bench.objects.classes["default"].status.instance_profile
    iam = bench.owner("iam")
    iam.create_role(RoleName="other", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}))
    may_pass(bench, "other")
    after = (await bench.adopt(bench.node_class({**SPEC, "role": "other"}))).instance_profile
    assert after != before
    await bench.cloud._profiles.collect({after})
    names = {each["InstanceProfileName"] for each in iam.list_instance_profiles()["InstanceProfiles"]}
    assert {before, after} <= names, "a profile of the last hour is kept"
    bench.cloud._profiles._clock = Later()
    await bench.cloud._profiles.collect({after})
    names = {each["InstanceProfileName"] for each in iam.list_instance_profiles()["InstanceProfiles"]}
    assert (after in names, before in names) == (True, False)


async def test_a_class_that_no_pool_names_keeps_its_profile_and_one_that_is_gone_does_not(bench: Bench) -> None:
    kept = bench.objects.classes["default"].status.instance_profile
    idle = (await bench.adopt(bench.node_class(SPEC, "idle"))).instance_profile
    gone = (await bench.adopt(bench.node_class(SPEC, "gone"))).instance_profile
    del bench.objects.classes["gone"]
    await bench.cloud.maintain()
    assert {kept, idle, gone} <= profiles(bench), "a profile of the last hour is kept"
    cloud = later(bench.another())
    await cloud.maintain()
    assert (kept in profiles(bench), idle in profiles(bench), gone in profiles(bench)) == (True, True, False)


async def test_new_tags_of_a_class_are_its_profiles_at_once(bench: Bench) -> None:
    name = (await bench.adopt(bench.node_class({**SPEC, "tags": {"team": "web"}}))).instance_profile
    profile = bench.owner("iam").get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    assert {"Key": "team", "Value": "web"} in profile["Tags"]
    asked = len(bench.calls("iam:GetInstanceProfile"))
    await bench.adopt(bench.node_class({**SPEC, "tags": {"team": "web"}}))
    assert len(bench.calls("iam:GetInstanceProfile")) == asked


async def test_a_profile_of_karpenters_older_naming_goes_with_its_class(bench: Bench) -> None:
    """And what somebody made by hand under such a name stays."""
    names = bench.cloud._profiles
    assert names.legacy_name_for(bench.node_class(SPEC)).startswith(f"{CLUSTER}_")
    iam = bench.owner("iam")
    for name, tags in (("old", profile_tags(CLUSTER, {}, node_class="old", region=REGION)), ("hand", {"team": "web"})):
        node_class = bench.node_class(SPEC, name)
        await bench.adopt(node_class)
        legacy = names.legacy_name_for(node_class)
        iam.create_instance_profile(InstanceProfileName=legacy, Tags=tag_list(tags))
        await bench.cloud.release(node_class)
        assert (legacy in profiles(bench)) is (name == "hand")
