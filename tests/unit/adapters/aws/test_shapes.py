"""Images, prices, errors, reservations and subnets: the small decisions behind the calls."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from nodesmith.adapters.aws.errors import AwsAnswer, launch_failure, launch_reason
from nodesmith.adapters.aws.fleet import Asker, instances_of, shared_requests
from nodesmith.adapters.aws.health import HealthCategory, parse_status
from nodesmith.adapters.aws.images import (
    NVIDIA,
    STANDARD,
    FoundImage,
    UnsupportedAlias,
    choose_images,
    parameters_of_alias,
    queries_of,
)
from nodesmith.adapters.aws.instances import instance_id, zone_of
from nodesmith.adapters.aws.names import TAG_LAUNCHED_FOR
from nodesmith.adapters.aws.network import SubnetFacts, parse_reservation
from nodesmith.adapters.aws.pricebook import (
    PriceBook,
    parse_products,
    parse_spot_history,
    pricing_region,
    shipped_prices,
)
from nodesmith.adapters.aws.subnets import SubnetChoice
from nodesmith.adapters.clock import RealClock
from nodesmith.api.ec2nodeclass import AMISelectorTerm, Subnet
from nodesmith.model.labels import ON_DEMAND, SPOT
from nodesmith.model.money import UsdPerHour
from nodesmith.ports.errors import CapacityUnavailable, CreateFailed

NOW = datetime(2026, 7, 10, 12, tzinfo=UTC)


# --- images ---


@pytest.mark.parametrize(
    ("alias", "version", "path"),
    [
        (
            "al2@v20240807",
            "1.30",
            "/aws/service/eks/optimized-ami/1.30/amazon-linux-2-arm64/amazon-eks-arm64-node-1.30-v20240807/image_id",
        ),
        (
            "al2023@latest",
            "1.35",
            "/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/arm64/nvidia/recommended/image_id",
        ),
        (
            "al2023@v20260701",
            "1.35",
            "/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/x86_64/neuron/amazon-eks-node-al2023-x86_64-neuron-1.35-v20260701/image_id",
        ),
        ("bottlerocket@v1.50.0", "1.35", "/aws/service/bottlerocket/aws-k8s-1.35-nvidia/x86_64/1.50.0/image_id"),
        (
            "windows2022@latest",
            "1.35",
            "/aws/service/ami-windows-latest/Windows_Server-2022-English-Core-EKS_Optimized-1.35/image_id",
        ),
    ],
)
def test_an_alias_names_parameters(alias: str, version: str, path: str) -> None:
    assert path in {each.path for each in parameters_of_alias(alias, version)}


@pytest.mark.parametrize(("alias", "version"), [("al2@latest", "1.33"), ("windows2025@latest", "1.34")])
def test_an_alias_may_mean_nothing_for_a_version(alias: str, version: str) -> None:
    with pytest.raises(UnsupportedAlias, match=version):
        parameters_of_alias(alias, version)


def image(name: str, day: int, *, deprecated: bool = False, arch: str = "amd64") -> FoundImage:
    return FoundImage(f"ami-{name}", name, arch, NOW + timedelta(days=day), deprecated)


def test_the_newest_image_that_is_not_deprecated_is_taken_for_each_kind() -> None:
    found = [
        image("old", 0),
        image("new", 1),
        image("gone", 2, deprecated=True),
        image("gpu", 0),
        image("arm", 0, arch="arm64"),
    ]
    wanted = {
        "ami-old": (STANDARD,),
        "ami-new": (STANDARD,),
        "ami-gone": (STANDARD,),
        "ami-gpu": (NVIDIA,),
        "ami-arm": (STANDARD,),
    }
    assert [each.id for each in choose_images(found, wanted)] == ["ami-new", "ami-arm", "ami-gpu"]
    assert [each.id for each in choose_images([image("gone", 2, deprecated=True)], {})] == ["ami-gone"]


def test_terms_are_questions() -> None:
    terms = (
        AMISelectorTerm(id="ami-1"),
        AMISelectorTerm(name="mine*"),
        AMISelectorTerm(name="theirs*", owner="123456789012"),
        AMISelectorTerm(tags={"team": "web", "any": "*"}),
    )
    ids, mine, theirs, tagged = queries_of(terms, ["ami-2"])
    assert ids.filters == (("image-id", ("ami-1", "ami-2")),)
    assert (mine.filters, mine.owners) == ((("name", ("mine*",)),), ("self", "amazon"))
    assert theirs.owners == ("123456789012",)
    assert (set(tagged.filters), tagged.owners) == ({("tag:team", ("web",)), ("tag-key", ("any",))}, ())


# --- prices ---


def test_an_unknown_price_is_unknown_and_a_shipped_one_says_that_it_is() -> None:
    shipped = PriceBook()
    estimate = shipped.quote("m5.large", "a", ON_DEMAND)
    assert estimate is not None
    assert (estimate.is_estimate, estimate.price) == (True, UsdPerHour.of("0.096"))
    assert shipped.quote("m5.large", "a", SPOT) == estimate
    assert shipped.quote("x9.huge", "a", ON_DEMAND) is None
    live = PriceBook(on_demand={"t3.small": UsdPerHour.of("0.02")}, on_demand_at=NOW)
    assert live.quote("m5.large", "a", ON_DEMAND) is None, "AWS answered and did not name it"
    told = PriceBook(spot={("m5.large", "a"): UsdPerHour.of("0.03")}, spot_at=NOW)
    assert told.quote("m5.large", "b", SPOT) is None
    spot = told.quote("m5.large", "a", SPOT)
    assert spot is not None
    assert not spot.is_estimate


def test_the_shipped_list_says_how_old_it_is() -> None:
    assert (shipped_prices().as_of.year, len(shipped_prices().on_demand) > 1300) == (2026, True)


def test_product_lists_are_read_and_free_ones_left_out() -> None:
    def product(name: str, usd: str) -> str:
        price = {"t": {"priceDimensions": {"d": {"pricePerUnit": {"USD": usd}}}}}
        return json.dumps({"product": {"attributes": {"instanceType": name}}, "terms": {"OnDemand": price}})

    listed = [product("m5.large", "0.1180000000"), product("free.large", "0.0"), "{}"]
    assert parse_products(listed, currency="USD") == {"m5.large": UsdPerHour.of("0.118")}
    assert parse_products(listed, currency="CNY") == {}


def test_the_newest_spot_price_counts() -> None:
    rows = [
        {
            "InstanceType": "m5.large",
            "AvailabilityZone": "a",
            "SpotPrice": price,
            "Timestamp": NOW + timedelta(hours=hour),
        }
        for price, hour in (("0.03", 0), ("0.05", 2), ("0.04", 1))
    ]
    assert parse_spot_history(rows) == {("m5.large", "a"): UsdPerHour.of("0.05")}


@pytest.mark.parametrize(
    ("region", "home"),
    [
        ("ap-northeast-2", "ap-south-1"),
        ("eu-west-1", "eu-central-1"),
        ("cn-north-1", "cn-northwest-1"),
        ("us-west-2", "us-east-1"),
    ],
)
def test_prices_are_asked_for_where_they_are_known(region: str, home: str) -> None:
    assert pricing_region(region) == home


# --- errors ---


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("AuthFailure.ServiceLinkedRoleCreationNotPermitted: x", "SpotSLRCreationFailed"),
        ("UnauthorizedOperation: you may not", "Unauthorized"),
        ("AuthFailure: Not authorized for images: [ami-1]", "AMIAuthorizationFailure"),
        ("InvalidParameter: sg and subnet belong to different networks", "SecurityGroupSubnetVPCMismatch"),
        ("InvalidParameterValue: Value for iamInstanceProfile.name is invalid", "InstanceProfileNameInvalid"),
        ("InvalidLaunchTemplateId.NotFound: x", "LaunchTemplateNotFound"),
        ("InvalidUserData: User data is limited to 16384 bytes", "UserDataSizeLimitExceeded"),
        ("InvalidAMIID.Malformed: x", "InvalidAMIID"),
        ("InvalidAMIID.NotFound: x", "AMINotFound"),
        ("RequestLimitExceeded: x", "RequestLimitExceeded"),
        ("InternalError: x", "InternalError"),
        ("InvalidParameterCombination: not eligible for Free Tier", "FreeTierIneligible"),
        ("MaxFleetCountExceeded: x", "FleetQuotaExceeded"),
        ("PendingVerification: x", "AccountPendingVerification"),
        ("MaxSpotInstanceCountExceeded: x", "SpotQuotaExceeded"),
        ("VcpuLimitExceeded: x", "VCPULimitExceeded"),
        ("InsufficientFreeAddressesInSubnet: x", "InsufficientFreeAddressesInSubnet"),
        ("SomethingNew: x", "LaunchFailed"),
    ],
)
def test_a_failed_launch_has_a_reason(text: str, reason: str) -> None:
    assert launch_reason(text)[0] == reason


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("AccessDenied: denied by a permissions boundary", "a permissions boundary denies it"),
        ("UnauthorizedOperation: explicit deny in a service control policy", "a service control policy denies it"),
        ("UnauthorizedOperation: You are not authorized", "Not authorized to launch instances"),
    ],
)
def test_who_denied_a_launch_is_said(text: str, says: str) -> None:
    reason, sentence = launch_reason(text)
    assert (reason, says in sentence) == ("Unauthorized", True)


def test_only_a_launch_that_failed_for_want_of_capacity_everywhere_is_given_up() -> None:
    dry, other = AwsAnswer("InsufficientInstanceCapacity", "dry"), AwsAnswer("InvalidAMIID.NotFound", "gone")
    assert isinstance(launch_failure([dry, AwsAnswer("VcpuLimitExceeded", "quota")]), CapacityUnavailable)
    assert isinstance(launch_failure([]), CapacityUnavailable)
    mixed = launch_failure([dry, other])
    assert isinstance(mixed, CreateFailed)
    assert mixed.reason == "AMINotFound"


# --- shared launches ---


def test_a_shared_launch_says_whose_it_is_and_keeps_its_token() -> None:
    request = {
        "TargetCapacitySpecification": {"TotalTargetCapacity": 1},
        "TagSpecifications": [{"ResourceType": "instance", "Tags": []}, {"ResourceType": "fleet", "Tags": []}],
    }
    askers = [Asker(f"default-{number:05d}", f"uid-{number}") for number in range(40)]
    calls = list(shared_requests(request, reversed(askers)))
    assert [len(group) for _, group in calls] == [18, 18, 4]
    assert [each for _, group in calls for each in group] == askers
    first = calls[0][0]
    (tag,) = first["TagSpecifications"][0]["Tags"]
    assert (tag["Key"], len(tag["Value"]) <= 256) == (TAG_LAUNCHED_FOR, True)
    assert first["TargetCapacitySpecification"]["TotalTargetCapacity"] == 18
    again = next(iter(shared_requests(request, askers)))[0]
    assert again["ClientToken"] == first["ClientToken"]
    relaunched = next(iter(shared_requests(request, [Asker("default-00000", "uid-0", lost=("i-1",))])))[0]
    fresh = next(iter(shared_requests(request, [Asker("default-00000", "uid-0")])))[0]
    assert relaunched["ClientToken"] != fresh["ClientToken"]
    assert len(fresh["ClientToken"]) == 64


def test_instances_belong_to_claims_in_order_whatever_order_they_are_seen_in() -> None:
    tags = {TAG_LAUNCHED_FOR: "a ab b", "aws:ec2:fleet-id": "fleet-1"}
    alone = {TAG_LAUNCHED_FOR: "ab", "aws:ec2:fleet-id": "fleet-2"}
    seen = [("i-3", tags), ("i-1", tags), ("i-9", alone), ("i-2", tags)]
    assert instances_of("a", seen) == ["i-1"]
    assert instances_of("ab", seen) == ["i-2", "i-9"]
    assert instances_of("b", seen) == ["i-3"]
    assert instances_of("c", seen) == []


# --- reservations, subnets, health, ids ---


def test_a_capacity_block_expires_before_it_ends() -> None:
    raw = {
        "CapacityReservationId": "cr-1",
        "State": "active",
        "ReservationType": "capacity-block",
        "AvailableInstanceCount": 2,
    }

    def state(minutes: int) -> str | None:
        parsed = parse_reservation({**raw, "EndDate": NOW + timedelta(minutes=minutes)}, NOW)
        return parsed[0].state if parsed else None

    assert [state(41), state(40), state(0)] == ["active", "expiring", None]
    assert parse_reservation({**raw, "State": "pending"}, NOW) is None


def test_the_roomiest_subnet_is_taken_and_launches_under_way_count() -> None:
    choice = SubnetChoice(RealClock())
    subnets = [Subnet(id=name, zone="a") for name in ("s-1", "s-2")] + [Subnet(id="s-3", zone="b")]
    choice.learn([SubnetFacts("s-1", "a", "", 100), SubnetFacts("s-2", "a", "", 90), SubnetFacts("s-3", "b", "", 10)])
    first = choice.choose(subnets, 29)
    assert first == {"a": "s-1", "b": "s-3"}
    assert choice.choose(subnets, 29)["a"] == "s-2"
    choice.give_back(first, {"s-3"}, 29)
    assert (choice.left("s-1"), choice.left("s-3")) == (100, 10 - 58)
    choice.exhausted("s-1")
    assert choice.choose(subnets, 1)["a"] == "s-2"


def test_a_finished_event_is_no_illness() -> None:
    def of(description: str) -> HealthCategory | None:
        sick = parse_status(
            {"InstanceId": "i-1", "Events": [{"Code": "instance-stop", "Description": description}]}, NOW
        )
        return sick.category if sick else None

    assert of("The instance is running on degraded hardware") is HealthCategory.EVENT_STATUS
    assert of("[Completed] The instance was stopped") is None


def test_provider_ids_are_taken_apart() -> None:
    assert (instance_id("aws:///a/i-0abc"), zone_of("aws:///a/i-0abc")) == ("i-0abc", "a")
    assert instance_id("kind://docker/kind/node") == ""
