import asyncio
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nodesmith.adapters.kubernetes import credentials as credentials_module
from nodesmith.adapters.kubernetes.credentials import credentials_for, exec_info, identity_of
from nodesmith.adapters.kubernetes.kubeconfig import Connection, Exec
from nodesmith.ports.errors import Refused, Unavailable
from tests.unit.adapters.kubernetes.manual import ManualClock

V1 = "client.authentication.k8s.io/v1"


def program(text: str) -> Exec:
    return Exec(sys.executable, ("-c", text), (("SAID", "hello"),), V1, install_hint="install it")


def credential(**status: str) -> bytes:
    return json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": status}).encode()


async def test_a_token_file_is_read_again_after_a_minute(tmp_path: Path) -> None:
    clock, path = ManualClock(), tmp_path / "token"
    path.write_text("one\n")
    credentials = credentials_for(Connection("https://x", token_file=path), clock)
    assert (await credentials.identity()).authorization == "Bearer one"
    path.write_text("two\n")
    assert (await credentials.identity()).authorization == "Bearer one"
    clock.freeze(61)
    assert (await credentials.identity()).authorization == "Bearer two"


async def test_a_refused_token_is_asked_for_again_at_once(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one")
    credentials = credentials_for(Connection("https://x", token_file=path), ManualClock())
    first = await credentials.identity()
    path.write_text("two")
    assert credentials.refused(first)
    assert (await credentials.identity()).authorization == "Bearer two"


async def test_a_refusal_of_an_older_token_is_no_reason_to_ask_for_another(tmp_path: Path) -> None:
    """Two requests were refused with the token of before: the second may be sent again with what the first got."""
    path = tmp_path / "token"
    path.write_text("one")
    credentials = credentials_for(Connection("https://x", token_file=path), ManualClock())
    first = await credentials.identity()
    path.write_text("two")
    assert credentials.refused(first)
    await credentials.identity()
    path.write_text("three")
    assert credentials.refused(first)
    assert (await credentials.identity()).authorization == "Bearer two"


async def test_a_fixed_token_is_not_asked_for_again() -> None:
    credentials = credentials_for(Connection("https://x", token="t"), ManualClock())
    assert not credentials.refused(await credentials.identity())


async def test_a_missing_token_file_is_a_refusal(tmp_path: Path) -> None:
    credentials = credentials_for(Connection("https://x", token_file=tmp_path / "none"), ManualClock())
    with pytest.raises(Refused, match="no token"):
        await credentials.identity()


async def test_a_plugin_is_told_what_for_and_believed() -> None:
    text = (
        "import json,os;info=json.loads(os.environ['KUBERNETES_EXEC_INFO']);"
        "print(json.dumps({'apiVersion':info['apiVersion'],'status':{'token':os.environ['SAID']}}))"
    )
    credentials = credentials_for(Connection("https://x", exec=program(text)), ManualClock())
    assert (await credentials.identity()).authorization == "Bearer hello"


@pytest.mark.parametrize(
    ("text", "says"),
    [("import sys; sys.exit(3)", "exit code 3"), ("print('hi')", "did not print an ExecCredential")],
)
async def test_a_plugin_that_fails_is_a_refusal(text: str, says: str) -> None:
    credentials = credentials_for(Connection("https://x", exec=program(text)), ManualClock())
    with pytest.raises(Refused, match=says):
        await credentials.identity()


async def test_a_plugin_that_is_not_there_gives_its_hint() -> None:
    missing = Exec("no-such-program-here", install_hint="install it")
    with pytest.raises(Refused, match="install it"):
        await credentials_for(Connection("https://x", exec=missing), ManualClock()).identity()


async def test_a_plugin_runs_once_for_all_who_wait_and_again_when_its_token_has_run_out(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    text = (
        f"import json;f=open({str(runs)!r},'a');f.write('.');f.close();"
        "print(json.dumps({'apiVersion':'client.authentication.k8s.io/v1',"
        "'status':{'token':'t','expirationTimestamp':'2026-01-01T01:00:00Z'}}))"
    )
    clock = ManualClock()
    credentials = credentials_for(Connection("https://x", exec=program(text)), clock)
    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(credentials.identity())
    assert runs.read_text() == "."
    clock.freeze(59 * 60 - 1000)
    await credentials.identity()
    assert runs.read_text() == ".."


async def test_a_plugin_that_does_not_answer_is_ended_and_may_be_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials_module, "EXEC_DEADLINE_S", 0.5)
    number = tmp_path / "pid"
    sleeper = Exec("/bin/sh", ("-c", f"echo $$ > {number}; exec sleep 600"))
    with pytest.raises(Unavailable, match="did not answer"):
        await credentials_for(Connection("https://x", exec=sleeper), ManualClock()).identity()
    with pytest.raises(ProcessLookupError):
        os.kill(int(number.read_text()), 0)


async def test_a_name_and_a_password_are_sent_as_basic_authorization() -> None:
    credentials = credentials_for(Connection("https://x", basic=("who", "word")), ManualClock())
    assert (await credentials.identity()).authorization == "Basic d2hvOndvcmQ="


def test_a_plugins_token_is_renewed_before_it_runs_out() -> None:
    output = credential(token="t", expirationTimestamp="2026-01-01T00:15:00Z")
    identity, until = identity_of(output, program(""))
    assert identity.authorization == "Bearer t"
    assert until == datetime(2026, 1, 1, 0, 14, tzinfo=UTC)


def test_a_plugin_may_give_a_certificate() -> None:
    identity, until = identity_of(credential(clientCertificateData="crt", clientKeyData="key"), program(""))
    assert identity.certificate is not None
    assert identity.certificate.key == b"key"
    assert until > datetime(9999, 1, 1, tzinfo=UTC) - timedelta(days=1)


@pytest.mark.parametrize(
    "output",
    [b"[]", credential(), json.dumps({"apiVersion": "v0", "status": {"token": "t"}}).encode()],
)
def test_other_output_is_a_refusal(output: bytes) -> None:
    with pytest.raises(Refused):
        identity_of(output, program(""))


def test_the_cluster_is_told_only_to_a_plugin_that_wants_it() -> None:
    connection = Connection("https://x", ca=b"pem", tls_server_name="name")
    assert "cluster" not in exec_info(Exec("p"), connection)["spec"]
    told = exec_info(Exec("p", provides_cluster_info=True), connection)["spec"]["cluster"]
    assert told == {"server": "https://x", "certificate-authority-data": "cGVt", "tls-server-name": "name"}
    unverified = Connection("https://x", verifies=False)
    told = exec_info(Exec("p", provides_cluster_info=True), unverified)
    assert told["spec"] == {"interactive": False, "cluster": {"server": "https://x", "insecure-skip-tls-verify": True}}
