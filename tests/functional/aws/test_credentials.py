"""Who the controller is to AWS, by every way there is, against the box; and that the metadata service is not asked."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from nodesmith.adapters.aws.client import AwsClient, SessionClients
from nodesmith.adapters.aws.credentials import controller_session
from nodesmith.adapters.clock import RealClock
from nodesmith.ports.errors import PortError, Refused, Unavailable
from tests.functional.aws.conftest import CLUSTER, NAMES, REGION, Bench

CONTROLLER = f"arn:aws:sts::{NAMES.account}:assumed-role/{NAMES.controller_role}/"


@pytest.fixture(autouse=True)
def _bare(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials from where the tests run; only where the box is."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ROLE_ARN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", bench.control.url)
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)


def client(bench: Bench) -> AwsClient:
    """A client as the controller process makes it."""
    return AwsClient(SessionClients(controller_session()), region=REGION, clock=RealClock(), run_blocking=bench.threads)


async def identity(bench: Bench) -> str:
    return str((await client(bench).call("sts", "GetCallerIdentity"))["Arn"])


async def works(bench: Bench) -> None:
    """Whoever it is may do what the controller does: the box enforces IAM."""
    described = await client(bench).call("eks", "DescribeCluster", name=CLUSTER)
    assert described["cluster"]["name"] == CLUSTER


def token(tmp_path: Path, subject: str) -> Path:
    claims = base64.urlsafe_b64encode(json.dumps({"sub": subject}).encode()).decode().rstrip("=")
    path = tmp_path / "token"
    path.write_text(f"e30.{claims}.", encoding="utf-8")
    return path


async def test_a_role_for_the_service_account(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_ROLE_ARN", NAMES.role_arn(NAMES.controller_role))
    monkeypatch.setenv(
        "AWS_WEB_IDENTITY_TOKEN_FILE", str(token(tmp_path, "system:serviceaccount:kube-system:karpenter"))
    )
    monkeypatch.setenv("AWS_ROLE_SESSION_NAME", "irsa")
    assert await identity(bench) == f"{CONTROLLER}irsa"
    await works(bench)
    assumed = bench.calls("sts:AssumeRoleWithWebIdentity")[-1]
    assert assumed.params["RoleArn"] == NAMES.role_arn(NAMES.controller_role)


def associate(bench: Bench) -> None:
    bench.owner("eks").create_pod_identity_association(
        clusterName=CLUSTER,
        namespace=NAMES.namespace,
        serviceAccount=NAMES.service_account,
        roleArn=NAMES.role_arn(NAMES.controller_role),
    )


async def test_pod_identity(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    associate(bench)
    path = token(tmp_path, f"system:serviceaccount:{NAMES.namespace}:{NAMES.service_account}")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{bench.control.url}/v1/credentials")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(path))
    assert await identity(bench) == f"{CONTROLLER}{NAMES.service_account}"
    await works(bench)


async def test_pod_identity_of_another_service_account_is_nobody(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    associate(bench)
    path = token(tmp_path, "system:serviceaccount:default:other")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{bench.control.url}/v1/credentials")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(path))
    with pytest.raises(Unavailable, match="no pod identity association for default/other"):
        await client(bench).call("sts", "GetCallerIdentity", attempts=1)


async def test_the_environment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = bench.owner("sts").assume_role(RoleArn=NAMES.role_arn(NAMES.controller_role), RoleSessionName="keys")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["Credentials"]["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["Credentials"]["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", keys["Credentials"]["SessionToken"])
    assert await identity(bench) == f"{CONTROLLER}keys"
    await works(bench)


async def test_a_profile(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    keys = bench.owner("sts").assume_role(RoleArn=NAMES.role_arn(NAMES.controller_role), RoleSessionName="file")
    given = keys["Credentials"]
    lines = [
        "[shop]",
        f"aws_access_key_id = {given['AccessKeyId']}",
        f"aws_secret_access_key = {given['SecretAccessKey']}",
        f"aws_session_token = {given['SessionToken']}",
    ]
    (tmp_path / "credentials").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setenv("AWS_PROFILE", "shop")
    assert await identity(bench) == f"{CONTROLLER}file"
    await works(bench)


@contextmanager
def metadata_service() -> Iterator[tuple[str, list[str]]]:
    """A server that stands for the instance metadata service, and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_PUT = do_GET  # noqa: N815 - the base class' way to name a method

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_the_metadata_service_is_not_asked(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with metadata_service() as (url, asked):
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
        with pytest.raises(Refused, match="give the controller a role, or AWS_ACCESS_KEY_ID"):
            await identity(bench)
        assert asked == []


SERVICES = ("ec2", "iam", "sts", "sqs", "ssm", "eks", "pricing", "arc-zonal-shift")
"""Every service that the controller calls."""


async def test_every_service_is_where_the_endpoint_url_says(bench: Bench) -> None:
    clients = SessionClients(controller_session())
    places = {service: clients.client(service, REGION).meta.endpoint_url for service in SERVICES}
    assert places == dict.fromkeys(SERVICES, bench.control.url)


async def test_without_it_they_are_aws_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    clients = SessionClients(controller_session())
    assert clients.client("ec2", REGION).meta.endpoint_url == f"https://ec2.{REGION}.amazonaws.com"
    assert clients.client("pricing", "us-east-1").meta.endpoint_url == "https://api.pricing.us-east-1.amazonaws.com"


async def test_one_service_may_be_elsewhere(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """`AWS_ENDPOINT_URL_EC2` is for EC2 alone, and goes before the one for all."""
    keys = bench.owner("sts").assume_role(RoleArn=NAMES.role_arn(NAMES.controller_role), RoleSessionName="keys")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["Credentials"]["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["Credentials"]["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", keys["Credentials"]["SessionToken"])
    with metadata_service() as (elsewhere, asked):
        monkeypatch.setenv("AWS_ENDPOINT_URL", elsewhere)
        monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", bench.control.url)
        found = await client(bench).call("ec2", "DescribeSubnets")
        assert found["Subnets"]
        assert asked == []
        with pytest.raises(PortError):
            await client(bench).call("eks", "DescribeCluster", name=CLUSTER, attempts=1)
        assert asked == [f"/clusters/{CLUSTER}"]
