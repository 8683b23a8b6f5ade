import pytest

from nodesmith.model.quantity import QuantityError, canonical, format_resource, parse, parse_resource
from nodesmith.model.resources import fits, format_resources, greatest, least, minus, parse_resources, shortfall, total


@pytest.mark.parametrize(
    ("name", "text", "amount"),
    [
        ("cpu", "1", 1000),
        ("cpu", "1500m", 1500),
        ("cpu", "0.1", 100),
        ("cpu", ".5", 500),
        ("cpu", "1u", 1),
        ("cpu", "100n", 1),
        ("cpu", 2, 2000),
        ("cpu", 0.25, 250),
        ("memory", "1Gi", 2**30),
        ("memory", "1.5Gi", 3 * 2**29),
        ("memory", "1G", 10**9),
        ("memory", "128974848", 128974848),
        ("memory", "129e6", 129_000_000),
        ("memory", "1E3", 1000),
        ("memory", "2E", 2 * 10**18),
        ("memory", "400m", 1),
        ("memory", "-1Ki", -1024),
        ("memory", "+1Ki", 1024),
        ("nvidia.com/gpu", "4", 4),
    ],
)
def test_a_quantity_becomes_a_whole_number_of_its_unit(name: str, text: str | float, amount: int) -> None:
    assert parse_resource(name, text) == amount


@pytest.mark.parametrize("text", ["", "1GB", "Gi", "1 Gi", "1.2.3", "0x10", "1,000", "--1", "1mm", "e3"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(QuantityError):
        parse(text)
    with pytest.raises(QuantityError):
        canonical(text)


def test_an_absurd_exponent_is_answered_at_once() -> None:
    assert parse("1e999999999") == 10**40
    assert parse("1e-999999999") == 1


@pytest.mark.parametrize(
    ("name", "amount", "text"),
    [
        ("cpu", 1500, "1500m"),
        ("cpu", 2000, "2"),
        ("cpu", 0, "0"),
        ("memory", 2**30, "1Gi"),
        ("memory", 1000, "1000"),
        ("memory", 0, "0"),
        ("ephemeral-storage", 20 * 2**30, "20Gi"),
        ("hugepages-2Mi", 4 * 2**20, "4Mi"),
        ("hugepages-2Mi", 0, "0"),
        ("pods", 1024, "1024"),
    ],
)
def test_an_amount_is_written_as_kubernetes_writes_it(name: str, amount: int, text: str) -> None:
    assert format_resource(name, amount) == text


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Gi", "512Mi"),
        ("1000Mi", "1000Mi"),
        ("2000M", "2G"),
        ("1500M", "1500M"),
        ("20G", "20G"),
        ("1.5", "1500m"),
        ("0", "0"),
        ("0Gi", "0"),
        ("1023", "1023"),
        ("0.5Ki", "512"),
        ("10e9", "10e9"),
        ("1e1", "10"),
        ("1e-10", "1e-9"),
        ("1n", "1n"),
        ("-2000", "-2k"),
    ],
)
def test_the_canonical_text_is_go_s(text: str, printed: str) -> None:
    assert canonical(text) == printed


def test_amounts_add_up_and_compare_by_name() -> None:
    one, two = parse_resources({"cpu": "1", "memory": "1Gi"}), parse_resources({"cpu": "500m", "pods": 3})
    assert parse_resources(None) == {}
    assert total([one, two]) == {"cpu": 1500, "memory": 2**30, "pods": 3}
    assert minus(one, two) == {"cpu": 500, "memory": 2**30, "pods": -3}
    assert greatest([one, two, {"cpu": 0}]) == {"cpu": 1000, "memory": 2**30, "pods": 3}
    assert least([one, two]) == {"cpu": 500}
    assert least([]) == {}
    assert format_resources(total([one, two])) == {"cpu": "1500m", "memory": "1Gi", "pods": "3"}


def test_a_request_fits_by_name_and_nothing_always_does() -> None:
    room = {"cpu": 1000, "memory": 100}
    assert fits({"cpu": 1000, "nvidia.com/gpu": 0}, room)
    assert not fits({"nvidia.com/gpu": 1}, room)
    assert shortfall({"cpu": 1500, "memory": 100, "pods": 1}, room) == {"cpu": 500, "pods": 1}
