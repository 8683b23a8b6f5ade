from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodesmith.sim.aws import wire


def sent(service: str, operation: str, **params: Any) -> wire.Call:
    """What boto3 would send, decoded."""
    session: Any = boto3.session.Session("testing", "testing", region_name="ap-northeast-2")
    client = session.client(service)
    caught: list[Any] = []

    def catch(request: Any, **_: Any) -> None:
        caught.append(request)
        raise InterruptedError

    client.meta.events.register("before-send", catch)
    with pytest.raises(InterruptedError):
        getattr(client, operation)(**params)
    client.close()
    request = caught[0]
    path, _, query = request.url.partition("amazonaws.com")[2].partition("?")
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()
    }
    body = request.body or b""
    if isinstance(body, dict):
        body = urlencode(body)
    body = body.encode() if isinstance(body, str) else body
    call = wire.decode(wire.Request(request.method, path or "/", query, headers, body))
    assert call is not None
    return call


FLEET = {
    "Type": "instant",
    "LaunchTemplateConfigs": [
        {
            "LaunchTemplateSpecification": {"LaunchTemplateName": "node", "Version": "$Latest"},
            "Overrides": [{"InstanceType": f"m{n}.large", "Priority": 1.5, "SubnetId": "subnet-1"} for n in range(12)],
        }
    ],
    "TargetCapacitySpecification": {"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "spot"},
    "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": ""}]}],
    "DryRun": True,
}


@pytest.mark.parametrize(
    ("service", "operation", "name", "params"),
    [
        ("ec2", "create_fleet", "ec2:CreateFleet", FLEET),
        ("ec2", "describe_instances", "ec2:DescribeInstances", {"InstanceIds": ["i-1"], "MaxResults": 5}),
        (
            "iam",
            "create_role",
            "iam:CreateRole",
            {"RoleName": "r", "AssumeRolePolicyDocument": "{}", "Tags": [{"Key": "k", "Value": "v"}]},
        ),
        (
            "sts",
            "assume_role",
            "sts:AssumeRole",
            {"RoleArn": "arn:aws:iam::123456789012:role/r", "RoleSessionName": "s1"},
        ),
        ("sqs", "create_queue", "sqs:CreateQueue", {"QueueName": "q", "Attributes": {"DelaySeconds": "1"}}),
        ("ssm", "get_parameter", "ssm:GetParameter", {"Name": "/a/b"}),
        ("pricing", "get_products", "pricing:GetProducts", {"ServiceCode": "AmazonEC2"}),
        ("eks", "describe_cluster", "eks:DescribeCluster", {"name": "demo"}),
        (
            "eks",
            "describe_access_entry",
            "eks:DescribeAccessEntry",
            {"clusterName": "demo", "principalArn": "arn:aws:iam::123456789012:role/a/b"},
        ),
        (
            "eks",
            "create_access_entry",
            "eks:CreateAccessEntry",
            {"clusterName": "demo", "principalArn": "arn:aws:iam::123456789012:role/r", "kubernetesGroups": ["g"]},
        ),
        (
            "arc-zonal-shift",
            "get_managed_resource",
            "arc-zonal-shift:GetManagedResource",
            {"resourceIdentifier": "arn:aws:eks:ap-northeast-2:123456789012:cluster/demo"},
        ),
    ],
)
def test_what_boto3_sends_is_read_back(service: str, operation: str, name: str, params: dict[str, Any]) -> None:
    call = sent(service, operation, **params)
    assert call.name == name
    assert call.access_key == "testing"
    assert {key: call.params[key] for key in params} == params


def test_what_is_no_call_is_none() -> None:
    assert wire.decode(wire.Request("GET", "/", "", {}, b"")) is None
    signed = {"authorization": "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/ec2/aws4_request, ..."}
    form = {**signed, "content-type": "application/x-www-form-urlencoded"}
    assert wire.decode(wire.Request("POST", "/", "", form, b"Action=NoSuchThing")) is None


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["C"])))
def test_any_text_survives_an_xml_answer(text: str) -> None:
    body = wire.ec2_envelope("DescribeTags", wire.ec2_members("DescribeTags", {"Tags": [{"Key": text}]}), "id")
    found = ET.fromstring(body).find(".//{*}key")  # noqa: S314 - our own text
    assert found is not None
    assert (found.text or "") == text
