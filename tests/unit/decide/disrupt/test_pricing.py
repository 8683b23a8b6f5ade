import pytest

from nodesmith.decide.disrupt.candidates import Candidate
from nodesmith.decide.disrupt.policy import Policy
from nodesmith.decide.disrupt.pricing import (
    Refused,
    cheaper,
    min_values_hold,
    savings_of,
)
from nodesmith.decide.disrupt.quotes import PriceList, offerings_allowed, worst_launch_price
from nodesmith.model import labels
from nodesmith.model.instancetype import InstanceType, Offering
from nodesmith.model.money import UsdPerHour
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.plan.schedule import PlannedClaim, Purchase
from nodesmith.plan.stay import StayCode
from tests.unit.decide.disrupt.build import TYPES, as_candidate, kind, node, pod, scene, snapshot

BOTH = Requirements.of((Requirement(labels.CAPACITY_TYPE, frozenset({labels.SPOT, labels.ON_DEMAND})),))
SPOT = Requirements.of((Requirement(labels.CAPACITY_TYPE, frozenset({labels.SPOT})),))
ON_DEMAND = Requirements.of((Requirement(labels.CAPACITY_TYPE, frozenset({labels.ON_DEMAND})),))


def claim(*types: InstanceType, requirements: Requirements = BOTH) -> PlannedClaim:
    purchase = PriceList().cheapest(types, requirements) or Purchase("", "", "", None)
    return PlannedClaim("default", requirements, tuple(each.name for each in types), {}, ("default/web",), purchase)


def leaving(type_name: str = "medium", capacity_type: str = labels.ON_DEMAND, name: str = "n") -> Candidate:
    return as_candidate(node(name, type_name, pod("web"), capacity_type=capacity_type))


def narrowed(
    candidates: list[Candidate],
    *claims: PlannedClaim,
    types: tuple[InstanceType, ...] = TYPES,
    policy: Policy | None = None,
) -> tuple[PlannedClaim, ...] | Refused:
    view = snapshot([each.node for each in candidates])
    return cheaper(candidates, claims, scene(view, types=types, policy=policy))


def kept(result: tuple[PlannedClaim, ...] | Refused) -> PlannedClaim:
    assert not isinstance(result, Refused), result
    return result[0]


def test_the_worst_launch_is_the_dearest_of_the_class_a_launch_takes_first() -> None:
    def offer(capacity_type: str, price: float, zone: str = "a") -> Offering:
        return Offering(zone, capacity_type, UsdPerHour.of(price))

    spot = [offer(labels.SPOT, 0.1), offer(labels.SPOT, 0.3, "b")]
    assert worst_launch_price([*spot, offer(labels.ON_DEMAND, 9)]) == UsdPerHour.of(0.3)
    assert worst_launch_price([*spot, offer(labels.RESERVED, 0.01)]) == UsdPerHour.of(0.01)
    assert worst_launch_price([offer(labels.ON_DEMAND, 9)]) == UsdPerHour.of(9)
    assert worst_launch_price([]) is None


def test_offerings_count_when_they_can_be_had_at_a_known_price_as_the_claim_asks() -> None:
    offers = (
        Offering("a", labels.SPOT, UsdPerHour.of(1)),
        Offering("b", labels.SPOT, UsdPerHour.of(1)),
        Offering("a", labels.SPOT, None),
        Offering("a", labels.SPOT, UsdPerHour.of(1), is_available=False),
        Offering("a", labels.ON_DEMAND, UsdPerHour.of(1)),
    )
    asked = SPOT & Requirements.from_labels({labels.ZONE: "a"})
    one = InstanceType("t", Requirements(), {}, TYPES[0].overhead, offers)
    assert offerings_allowed(one, asked) == [offers[0]]


def test_a_claim_that_is_no_cheaper_is_refused() -> None:
    found = narrowed([leaving("tiny", labels.SPOT)], claim(TYPES[0], requirements=ON_DEMAND))
    assert found == Refused(StayCode.NOT_CHEAPER, "Can't replace with a cheaper node")


def test_the_same_price_is_not_cheaper() -> None:
    found = narrowed([leaving("medium")], claim(TYPES[2], requirements=ON_DEMAND))
    assert isinstance(found, Refused)


def test_types_that_could_launch_dearer_are_dropped() -> None:
    wide = kind("wide", 4, 0.5, spot=0.05)
    scattered = InstanceType(
        "scattered",
        wide.requirements,
        wide.capacity,
        wide.overhead,
        (Offering("a", labels.SPOT, UsdPerHour.of(0.01)), Offering("b", labels.SPOT, UsdPerHour.of(0.25))),
    )
    found = kept(narrowed([leaving("medium")], claim(scattered, wide), types=(*TYPES, wide, scattered)))
    assert found.instance_types == ("wide",)
    assert found.cheapest.price == UsdPerHour.of(0.05)


def test_a_claim_open_to_spot_and_on_demand_is_pinned_to_what_was_compared() -> None:
    found = kept(narrowed([leaving("large")], claim(TYPES[1], TYPES[2])))
    assert found.requirements.get(labels.CAPACITY_TYPE).values == {labels.SPOT}
    assert found.cheapest.capacity_type == labels.SPOT


def test_spot_is_not_replaced_by_spot_unless_that_is_switched_on() -> None:
    found = narrowed([leaving("large", labels.SPOT)], claim(TYPES[0]))
    assert isinstance(found, Refused)
    assert found.code is StayCode.SPOT_TO_SPOT
    assert found.detail.startswith("SpotToSpotConsolidation is disabled")


def test_one_spot_node_needs_fifteen_cheaper_types() -> None:
    many = tuple(kind(f"t{number:02}", 1, 1.0, spot=0.01 + number / 1000) for number in range(20))
    policy = Policy(spot_to_spot=True)
    few = narrowed([leaving("huge", labels.SPOT)], claim(*many[:14]), types=(*TYPES, *many), policy=policy)
    assert isinstance(few, Refused)
    assert few.detail.endswith("got 14")
    enough = kept(narrowed([leaving("huge", labels.SPOT)], claim(*many), types=(*TYPES, *many), policy=policy))
    assert len(enough.instance_types) == 15
    assert enough.instance_types[0] == "t00"


def test_several_spot_nodes_need_no_breadth() -> None:
    both = [leaving("large", labels.SPOT, "a"), leaving("large", labels.SPOT, "b")]
    found = kept(narrowed(both, claim(TYPES[0]), policy=Policy(spot_to_spot=True)))
    assert found.instance_types == ("tiny",)


def test_breadth_grows_where_min_values_need_it() -> None:
    many = tuple(kind(f"t{number:02}", 1, 1.0, spot=0.01 + number / 1000) for number in range(20))
    needs = BOTH & Requirements.of((Requirement(labels.INSTANCE_TYPE, complement=True, min_values=18),))
    found = narrowed(
        [leaving("huge", labels.SPOT)],
        claim(*many, requirements=needs),
        types=(*TYPES, *many),
        policy=Policy(spot_to_spot=True),
    )
    assert len(kept(found).instance_types) == 18


def test_min_values_that_the_price_breaks_refuse() -> None:
    needs = ON_DEMAND & Requirements.of((Requirement(labels.INSTANCE_TYPE, complement=True, min_values=3),))
    found = narrowed([leaving("medium")], claim(TYPES[0], TYPES[1], TYPES[2], requirements=needs))
    assert isinstance(found, Refused)
    assert found.detail.startswith("Filtering by price")


def test_min_values_count_what_the_requirement_allows() -> None:
    needs = Requirements.of((Requirement(labels.INSTANCE_TYPE, frozenset({"tiny", "small"}), min_values=2),))
    assert min_values_hold(needs, TYPES[:2])
    assert not min_values_hold(needs, TYPES[1:])
    assert min_values_hold(BOTH, ())


def test_several_nodes_are_not_replaced_by_a_node_like_one_of_them() -> None:
    both = [leaving("small", name="a"), leaving("medium", name="b")]
    found = narrowed(both, claim(TYPES[1], TYPES[2], requirements=ON_DEMAND))
    assert isinstance(found, Refused)


def test_several_replacements_stay_below_what_leaves_together_whatever_is_launched() -> None:
    bought = narrowed([leaving("huge")], claim(TYPES[0], TYPES[1]), claim(TYPES[1], TYPES[2], TYPES[3]))
    assert not isinstance(bought, Refused)
    by_name = {each.name: each for each in TYPES}
    worst = 0
    for each in bought:
        prices = [
            worst_launch_price(offerings_allowed(by_name[name], each.requirements)) for name in each.instance_types
        ]
        worst += max(price.picos for price in prices if price)
    assert worst < UsdPerHour.of(0.8).picos


def test_an_unknown_price_is_not_a_bargain() -> None:
    free = InstanceType("free", Requirements(), {}, TYPES[0].overhead, (Offering("a", labels.SPOT, None),))
    found = narrowed([leaving("huge")], claim(free), types=(*TYPES, free))
    assert isinstance(found, Refused)
    assert found.code is StayCode.UNPRICED


def test_savings_are_exact_and_unknown_where_a_price_is() -> None:
    assert savings_of([leaving("medium")], (claim(TYPES[0]),)) == UsdPerHour.of(0.18)
    assert savings_of([leaving("medium")], ()) == UsdPerHour.of(0.2)
    assert savings_of([leaving("unheard-of")], ()) is None


@pytest.mark.parametrize("types", [(), (TYPES[0],)])
def test_nothing_to_buy_has_no_price(types: tuple[InstanceType, ...]) -> None:
    nowhere = Requirements.from_labels({labels.ZONE: "z"})
    assert PriceList().cheapest(types, nowhere) is None
