"""User data of every family against what the peer writes."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import msgspec
import pytest
import yaml

from nodesmith.adapters.aws.capacity import pods_of, shape_of
from nodesmith.adapters.aws.catalog import parse_type
from nodesmith.adapters.aws.families import family_of
from nodesmith.adapters.aws.userdata.bootstrap import (
    Bootstrap,
    ClusterInfo,
    UserDataError,
    kubelet_labels,
    kubelet_taints,
)
from nodesmith.adapters.aws.userdata.bottlerocket import dropped_settings
from nodesmith.adapters.aws.userdata.duration import canonical_duration
from nodesmith.adapters.aws.userdata.mime import NODE_CONFIG, read_archive
from nodesmith.adapters.aws.userdata.render import render_user_data
from nodesmith.api.ec2nodeclass import KubeletConfiguration, decode_ec2nodeclass, kubelet_of, kubelet_passed_on
from nodesmith.model.taints import Taint
from tests.unit.adapters.aws.vectors import vectors

CASES = vectors("userdata")["cases"]


def bootstrap_of(given: dict[str, Any]) -> tuple[Any, Bootstrap]:
    node_class = decode_ec2nodeclass({"spec": given["nodeClassSpec"]})
    family = family_of(node_class.ami_family)
    row = next(
        row
        for row in vectors("instance_types")["types"]
        if row["name"] == given["instanceType"] and row["source"] == "moto"
    )
    pods = pods_of(parse_type(row["input"]), shape_of(node_class.spec, family, memory_overhead=0.075, reserved_enis=0))
    kubelet = kubelet_of(node_class.spec)
    cluster = given["cluster"]
    dns = kubelet.cluster_dns or ((cluster["dnsIP"],) if cluster["dnsIP"] else None)
    taints = [
        tuple(Taint(each["key"], each["effect"], each.get("value", "")) for each in given[name] or ())
        for name in ("taints", "startupTaints")
    ]
    return family, Bootstrap(
        cluster=ClusterInfo(
            cluster["name"], cluster["endpoint"], cluster["caBundle"] or "", cluster["dnsIP"], cluster["cidr"] or ""
        ),
        kubelet=msgspec.structs.replace(
            kubelet, max_pods=pods if kubelet.max_pods is None else kubelet.max_pods, cluster_dns=dns
        ),
        passed_on=kubelet_passed_on(node_class.spec),
        labels=kubelet_labels(given["labels"], given["capacityType"], is_custom=family.name == "Custom"),
        taints=kubelet_taints(*taints),
        custom=node_class.spec.user_data or "",
        is_raid=node_class.spec.instance_store_policy == "RAID0",
        alias_version=node_class.alias.partition("@")[2],
    )


def comparable(family: str, text: str) -> Any:
    if family == "Bottlerocket":
        return tomllib.loads(text)
    if family == "AL2023":
        return [
            (part.content_type, yaml.safe_load(part.body) if part.content_type == NODE_CONFIG else part.body)
            for part in read_archive(text)
        ]
    return text


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_user_data_is_the_peers(case: dict[str, Any]) -> None:
    family, bootstrap = bootstrap_of(case["input"])
    if "error" in case:
        with pytest.raises(
            UserDataError,
            match=re.escape(
                case["error"]
                .removeprefix("generating NodeConfig, NodeClassRef not ready, ")
                .split(":")[0]
                .split(", %")[0]
            ),
        ):
            render_user_data(family, bootstrap)
        return
    assert comparable(family.name, render_user_data(family, bootstrap)) == comparable(family.name, case["userData"])


def test_all_of_55_cases_are_compared() -> None:
    assert len(CASES) == 55


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("90s", "1m30s"),
        ("1m", "1m0s"),
        ("2h", "2h0m0s"),
        ("1h30m", "1h30m0s"),
        ("1.5s", "1.5s"),
        ("250ms", "250ms"),
        ("0s", "0s"),
        ("soon", "soon"),
    ],
)
def test_durations_are_spelt_as_go_spells_them(text: str, wanted: str) -> None:
    assert canonical_duration(text) == wanted


def test_settings_that_bottlerocket_does_not_know_are_named() -> None:
    assert dropped_settings(
        "[settings.kubernetes]\nmax-pods = 3\nmax-cats = 4\n[settings.kubernetes.dogs]\na = 1\n"
    ) == ["dogs", "max-cats"]


def test_windows_line_ends_do_not_reach_an_al2_script() -> None:
    family = family_of("AL2")
    made = render_user_data(
        family, Bootstrap(ClusterInfo("c", "https://e"), KubeletConfiguration(), custom="#!/bin/bash\r\ntrue\r\n")
    )
    assert "\r" not in made
