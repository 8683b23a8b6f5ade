from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from nodesmith.sim.aws.control import PoolRule
from tests.functional.aws_box.conftest import REGION, START, Bench, tags
from tests.functional.aws_box.test_launching import code_of


def pages(client: Any, operation: str, key: str, **how: Any) -> list[list[Any]]:
    return [page[key] for page in client.get_paginator(operation).paginate(**how)]


def test_instance_types_come_in_pages_and_are_the_regions(bench: Bench) -> None:
    found = pages(bench.ec2, "describe_instance_types", "InstanceTypes")
    names = [entry["InstanceType"] for page in found for entry in page]
    assert [len(page) for page in found[:-1]] == [100] * (len(found) - 1)
    assert len(names) == len(set(names)) == 755
    assert {"t4g.small", "m5.large", "m8g.large"} <= set(names)
    small = pages(bench.ec2, "describe_instance_types", "InstanceTypes", PaginationConfig={"PageSize": 37})
    assert [entry["InstanceType"] for page in small for entry in page] == names


def test_an_instance_type_is_moto_s_own_data(bench: Bench) -> None:
    found = bench.ec2.describe_instance_types(InstanceTypes=["t4g.small"])["InstanceTypes"][0]
    assert found["VCpuInfo"]["DefaultVCpus"] == 2
    assert found["MemoryInfo"]["SizeInMiB"] == 2048
    assert found["ProcessorInfo"]["SupportedArchitectures"] == ["arm64"]
    assert found["NetworkInfo"]["MaximumNetworkInterfaces"] == 3
    assert found["SupportedUsageClasses"] == ["on-demand", "spot"]


def test_instance_types_are_filtered(bench: Bench) -> None:
    def count(**wanted: str) -> int:
        filters = [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in wanted.items()]
        found = pages(bench.ec2, "describe_instance_types", "InstanceTypes", Filters=filters)
        return sum(map(len, found))

    assert 0 < count(bare_metal="true") < count(bare_metal="false") < 755
    assert count(instance_type="t4g.*") == 7
    with pytest.raises(ClientError) as unknown:
        count(colour="red")
    assert code_of(unknown) == "InvalidParameterValue"
    with pytest.raises(ClientError) as absent:
        bench.ec2.describe_instance_types(InstanceTypes=["zz.large"])
    assert code_of(absent) == "InvalidInstanceType"


def test_offerings_come_in_pages_and_are_filtered(bench: Bench) -> None:
    found = pages(
        bench.ec2, "describe_instance_type_offerings", "InstanceTypeOfferings", LocationType="availability-zone"
    )
    assert [len(page) for page in found] == [1000, 1000, 460]
    wanted = [{"Name": "instance-type", "Values": ["t4g.*"]}, {"Name": "location", "Values": [f"{REGION}a"]}]
    few = bench.ec2.describe_instance_type_offerings(LocationType="availability-zone", Filters=wanted)
    assert len(few["InstanceTypeOfferings"]) == 7


def test_spot_prices_are_paged_filtered_and_below_on_demand(bench: Bench) -> None:
    found = pages(
        bench.ec2,
        "describe_spot_price_history",
        "SpotPriceHistory",
        ProductDescriptions=["Linux/UNIX"],
        StartTime=START,
        PaginationConfig={"PageSize": 2000},
    )
    rows = [row for page in found for row in page]
    assert [len(page) for page in found] == [2000, len(rows) - 2000]
    prices = {(r["InstanceType"], r["AvailabilityZone"]): float(r["SpotPrice"]) for r in rows}
    assert len(prices) == len(rows)
    assert 0.25 * 0.0416 <= prices["t4g.medium", f"{REGION}a"] <= 0.75 * 0.0416
    few = bench.ec2.describe_spot_price_history(InstanceTypes=["t4g.medium"], AvailabilityZone=f"{REGION}a")
    assert [float(r["SpotPrice"]) for r in few["SpotPriceHistory"]] == [prices["t4g.medium", f"{REGION}a"]]
    bench.control.spot_factor({("t4g.medium", "*"): 2})
    dear = bench.ec2.describe_spot_price_history(InstanceTypes=["t4g.medium"], AvailabilityZone=f"{REGION}a")
    assert float(dear["SpotPriceHistory"][0]["SpotPrice"]) == pytest.approx(
        2 * prices["t4g.medium", f"{REGION}a"], abs=1e-6
    )


FILTERS = {
    "regionCode": REGION,
    "serviceCode": "AmazonEC2",
    "preInstalledSw": "NA",
    "operatingSystem": "Linux",
    "capacitystatus": "Used",
    "marketoption": "OnDemand",
}


def products(bench: Bench, **wanted: str) -> dict[str, float]:
    filters = [{"Type": "TERM_MATCH", "Field": k, "Value": v} for k, v in {**FILTERS, **wanted}.items()]
    found = {}
    for page in pages(bench.client("pricing"), "get_products", "PriceList", ServiceCode="AmazonEC2", Filters=filters):
        assert len(page) <= 100
        for text in page:
            entry = json.loads(text)
            (term,) = entry["terms"]["OnDemand"].values()
            (dimension,) = term["priceDimensions"].values()
            found[entry["product"]["attributes"]["instanceType"]] = float(dimension["pricePerUnit"]["USD"])
    return found


def test_the_pricing_api_knows_shared_and_bare_metal(bench: Bench) -> None:
    shared = products(bench, tenancy="Shared", productFamily="Compute Instance")
    metal = products(bench, tenancy="Dedicated", productFamily="Compute Instance (bare metal)")
    assert shared["t4g.medium"] == pytest.approx(0.0416)
    assert shared["m5.large"] == pytest.approx(0.118, rel=0.003)
    assert len(shared) + len(metal) == 742
    assert all("metal" in name for name in metal)
    assert not set(shared) & set(metal)
    assert products(bench, instanceType="t4g.small", tenancy="Shared") == {"t4g.small": pytest.approx(0.0208)}


def find(bench: Bench, **wanted: str) -> list[str]:
    filters = [{"Name": name.replace("__", ":").replace("_", "-"), "Values": [v]} for name, v in wanted.items()]
    return [
        i["InstanceId"]
        for page in pages(bench.ec2, "describe_instances", "Reservations", Filters=filters)
        for reservation in page
        for i in reservation["Instances"]
    ]


def test_instances_are_found_by_tags_states_and_other_filters(bench: Bench) -> None:
    bench.template(TagSpecifications=[tags("instance", pool="default")])
    spot = bench.launch("t4g.small", market="spot", zones="a", ClientToken="claim-1")
    other = bench.launch("m6g.large", zones="b", TagSpecifications=[tags("instance", pool="other", extra="1")])
    assert find(bench, tag__pool="default") == [spot]
    assert find(bench, tag__pool="*") == [spot, other]
    assert find(bench, tag_key="extra") == [other]
    assert find(bench, instance_lifecycle="spot") == [spot]
    assert find(bench, client_token="claim-1") == [spot]
    assert find(bench, instance_type="m6g.*", instance_state_name="running") == [other]
    assert find(bench, availability_zone=f"{REGION}a", tag__pool="other") == []
    bench.control.timing(shutting_down=timedelta(minutes=1))
    bench.ec2.terminate_instances(InstanceIds=[spot])
    assert find(bench, instance_state_name="shutting-down") == [spot]
    with pytest.raises(ClientError) as unknown:
        find(bench, colour="red")
    assert code_of(unknown) == "InvalidParameterValue"


def test_instances_come_in_pages_unless_asked_for_by_id(bench: Bench) -> None:
    bench.template()
    made = bench.fleet("t4g.small", count=12)["Instances"][0]["InstanceIds"]
    found = pages(bench.ec2, "describe_instances", "Reservations", PaginationConfig={"PageSize": 5})
    assert [len(page) for page in found] == [5, 5, 2]
    assert [r["Instances"][0]["InstanceId"] for page in found for r in page] == made
    assert len(bench.ec2.describe_instances(InstanceIds=made)["Reservations"]) == 12
    with pytest.raises(ClientError) as both:
        bench.ec2.describe_instances(InstanceIds=made, MaxResults=5)
    assert code_of(both) == "InvalidParameterCombination"
    with pytest.raises(ClientError) as one_is_wrong:
        bench.ec2.describe_instances(InstanceIds=[*made, "i-0123"])
    assert code_of(one_is_wrong) == "InvalidInstanceID.NotFound"


def test_tags_are_for_what_exists(bench: Bench) -> None:
    bench.template()
    instance_id = bench.launch("t4g.small")
    bench.ec2.create_tags(Resources=[instance_id], Tags=[{"Key": "Name", "Value": "n"}])
    assert {"Key": "Name", "Value": "n"} in bench.instance(instance_id)["Tags"]
    bench.ec2.delete_tags(Resources=[instance_id], Tags=[{"Key": "Name"}])
    assert "Name" not in {tag["Key"] for tag in bench.instance(instance_id)["Tags"]}
    with pytest.raises(ClientError) as absent:
        bench.ec2.create_tags(Resources=["i-0123456789abcdef0"], Tags=[{"Key": "Name", "Value": "n"}])
    assert code_of(absent) == "InvalidInstanceID.NotFound"
    with pytest.raises(ClientError) as reserved:
        bench.ec2.create_tags(Resources=[instance_id], Tags=[{"Key": "aws:x", "Value": "n"}])
    assert code_of(reserved) == "InvalidParameterValue"


def test_launch_templates_are_found_and_removed_as_on_ec2(bench: Bench) -> None:
    first = bench.template("one-1")
    bench.template("two-2")
    assert [
        t["LaunchTemplateName"]
        for t in bench.ec2.describe_launch_templates(LaunchTemplateNames=["one-1"])["LaunchTemplates"]
    ] == ["one-1"]
    by_tag = bench.ec2.describe_launch_templates(Filters=[{"Name": "tag:owner", "Values": ["test"]}])
    assert {t["LaunchTemplateName"] for t in by_tag["LaunchTemplates"]} == {"one-1", "two-2"}
    assert by_tag["LaunchTemplates"][0]["CreateTime"] == START
    version = bench.ec2.describe_launch_template_versions(LaunchTemplateId=first)["LaunchTemplateVersions"][0]
    assert "TagSpecifications" not in version["LaunchTemplateData"]
    with pytest.raises(ClientError) as twice:
        bench.template("one-1")
    assert code_of(twice) == "InvalidLaunchTemplateName.AlreadyExistsException"
    bench.ec2.delete_launch_template(LaunchTemplateName="one-1")
    for call, code in (
        (
            lambda: bench.ec2.delete_launch_template(LaunchTemplateName="one-1"),
            "InvalidLaunchTemplateName.NotFoundException",
        ),
        (lambda: bench.ec2.delete_launch_template(LaunchTemplateId=first), "InvalidLaunchTemplateId.NotFound"),
        (
            lambda: bench.ec2.describe_launch_templates(LaunchTemplateNames=["one-1"]),
            "InvalidLaunchTemplateName.NotFoundException",
        ),
        (lambda: bench.fleet("t4g.small", template="one-1"), "InvalidLaunchTemplateName.NotFoundException"),
    ):
        with pytest.raises(ClientError) as absent:
            call()
        assert code_of(absent) == code


def test_an_operation_that_nobody_has_is_a_clean_error(bench: Bench) -> None:
    with pytest.raises(ClientError) as unknown:
        bench.ec2.describe_instance_event_windows()
    assert code_of(unknown) == "InvalidAction"


def test_reservations_are_used_counted_and_given_back(bench: Bench) -> None:
    made = bench.ec2.create_capacity_reservation(
        InstanceType="m6g.large",
        InstancePlatform="Linux/UNIX",
        AvailabilityZone=f"{REGION}a",
        InstanceCount=1,
        InstanceMatchCriteria="targeted",
        TagSpecifications=[tags("capacity-reservation", team="a")],
    )["CapacityReservation"]
    wish = {
        "CapacityReservationPreference": "capacity-reservations-only",
        "CapacityReservationTarget": {"CapacityReservationId": made["CapacityReservationId"]},
    }
    bench.template(CapacityReservationSpecification=wish)
    bench.control.ice(PoolRule("on-demand"))
    instance_id = bench.launch("m6g.large", zones="a")
    assert bench.instance(instance_id)["CapacityReservationId"] == made["CapacityReservationId"]

    def free() -> int:
        wanted = [{"Name": "tag:team", "Values": ["a"]}, {"Name": "state", "Values": ["active"]}]
        (found,) = bench.ec2.describe_capacity_reservations(Filters=wanted)["CapacityReservations"]
        return int(found["AvailableInstanceCount"])

    assert free() == 0
    full = bench.fleet("m6g.large", zones="a")
    assert [e["ErrorCode"] for e in full["Errors"]] == ["ReservationCapacityExceeded"]
    bench.ec2.terminate_instances(InstanceIds=[instance_id])
    assert free() == 1


def test_an_open_reservation_takes_what_fits_by_itself(bench: Bench) -> None:
    made = bench.ec2.create_capacity_reservation(
        InstanceType="m6g.large", InstancePlatform="Linux/UNIX", AvailabilityZone=f"{REGION}a", InstanceCount=1
    )["CapacityReservation"]["CapacityReservationId"]
    bench.template()
    bench.template("none", CapacityReservationSpecification={"CapacityReservationPreference": "none"})
    assert "CapacityReservationId" not in bench.instance(bench.launch("m6g.large", zones="a", template="none"))
    assert bench.instance(bench.launch("m6g.large", zones="a"))["CapacityReservationId"] == made
    assert "CapacityReservationId" not in bench.instance(bench.launch("m6g.large", zones="a"))


def test_a_capacity_block_has_its_own_market_and_an_end(bench: Bench) -> None:
    end = START + timedelta(days=1)
    block = bench.control.capacity_block("m6g.large", f"{REGION}a", 2, end=end, tags={"team": "ml"})
    (shown,) = bench.ec2.describe_capacity_reservations(CapacityReservationIds=[block])["CapacityReservations"]
    assert (shown["ReservationType"], shown["EndDate"], shown["TotalInstanceCount"]) == ("capacity-block", end, 2)
    bench.template(
        InstanceMarketOptions={"MarketType": "capacity-block"},
        CapacityReservationSpecification={"CapacityReservationTarget": {"CapacityReservationId": block}},
    )
    found = bench.instance(bench.launch("m6g.large", market="capacity-block", zones="a"))
    assert (found["InstanceLifecycle"], found["CapacityReservationId"]) == ("capacity-block", block)
    bench.control.change_reservation(block, state="expired")
    assert (
        bench.ec2.describe_capacity_reservations(Filters=[{"Name": "state", "Values": ["active"]}])[
            "CapacityReservations"
        ]
        == []
    )


def test_placement_groups(bench: Bench) -> None:
    made = bench.ec2.create_placement_group(GroupName="pg", Strategy="partition", PartitionCount=3)["PlacementGroup"]
    bench.template(Placement={"GroupId": made["GroupId"], "PartitionNumber": 2})
    placement = bench.instance(bench.launch("m6g.large"))["Placement"]
    assert (placement["GroupId"], placement["PartitionNumber"]) == (made["GroupId"], 2)
    assert (
        bench.ec2.describe_placement_groups(GroupIds=[made["GroupId"]])["PlacementGroups"][0]["Strategy"] == "partition"
    )
    with pytest.raises(ClientError) as absent:
        bench.ec2.describe_placement_groups(GroupNames=["other"])
    assert code_of(absent) == "InvalidPlacementGroup.Unknown"
    bench.ec2.delete_placement_group(GroupName="pg")
    assert bench.ec2.describe_placement_groups()["PlacementGroups"] == []


def test_only_the_unwell_are_reported_unwell(bench: Bench) -> None:
    bench.template()
    well, sick, doomed = (bench.launch("t4g.small", ClientToken=f"claim-{n}") for n in range(3))
    bench.control.instance_status(sick, instance="impaired", impaired_since=START - timedelta(minutes=3))
    bench.control.instance_status(doomed, events=[("instance-retirement", START + timedelta(days=7))])

    def ids(name: str, *values: str) -> list[str]:
        found = bench.ec2.describe_instance_status(Filters=[{"Name": name, "Values": list(values)}])
        return [row["InstanceId"] for row in found["InstanceStatuses"]]

    assert ids("instance-status.status", "impaired") == [sick]
    assert ids("system-status.status", "impaired") == []
    assert ids("event.code", "instance-reboot", "instance-retirement") == [doomed]
    assert ids("instance-state-name", "running") == [well, sick, doomed]
    (row,) = bench.ec2.describe_instance_status(InstanceIds=[sick])["InstanceStatuses"]
    assert row["InstanceStatus"]["Details"][0]["ImpairedSince"] == START - timedelta(minutes=3)
    with pytest.raises(ClientError) as unknown:
        ids("colour", "red")
    assert code_of(unknown) == "InvalidParameterValue"
