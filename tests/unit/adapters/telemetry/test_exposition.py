"""What is written straight away reads as what the client library would have written."""

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from nodesmith.adapters.telemetry.catalog import BY_NAME
from nodesmith.adapters.telemetry.exposition import Family, written

ODD = ["plain", 'with "quotes"', "with\nlines", r"with\slashes", "한국어", ""]


def families() -> list[Family]:
    return [
        Family(BY_NAME["nodepools_limit"], [((odd, "default"), 1.5) for odd in ODD]),
        Family(BY_NAME["workqueue_adds_total"], [(("nodeclaim.lifecycle",), 3.0)]),
        Family(BY_NAME["cluster_state_node_count"], [((), 1e21)]),
    ]


def test_every_value_of_a_label_comes_back() -> None:
    limit, adds, count = read_text("".join(written(families())))
    assert [sample.labels["resource_type"] for sample in limit.samples] == ODD
    assert [(each.name, each.value) for each in adds.samples] == [("workqueue_adds_total", 3.0)]
    assert count.samples[0].value == 1e21


def test_openmetrics_reads_it_too() -> None:
    text = "".join(written(families(), is_openmetrics=True)) + "# EOF\n"
    limit, adds, _ = read_openmetrics(text)  # type: ignore[no-untyped-call]  # the library's own omission
    assert [sample.labels["resource_type"] for sample in limit.samples] == ODD
    assert (adds.name, adds.type) == ("workqueue_adds", "counter")


def test_a_number_without_its_labels_is_a_fault() -> None:
    with pytest.raises(ValueError, match="shorter"):
        list(written([Family(BY_NAME["nodepools_limit"], [(("cpu",), 1.0)])]))
