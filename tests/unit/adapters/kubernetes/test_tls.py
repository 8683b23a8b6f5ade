"""Who the server is, and who we are, by certificates: with a server that asks for one."""

import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nodesmith.adapters.kubernetes import requests
from nodesmith.adapters.kubernetes.kubeconfig import ClientCertificate, Connection
from nodesmith.adapters.kubernetes.transport import Limits, Transport
from nodesmith.api.kinds import NODE
from nodesmith.ports.errors import Unavailable
from tests.unit.adapters.kubernetes.manual import InstantClock

READ = requests.get(NODE, "a")
BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)
LIFETIME = timedelta(days=36500)


@dataclass
class Authority:
    """Somebody who signs certificates."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def signs(self, name: str, *, host: bool = False) -> ClientCertificate:
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.DNSName(name)]
        if host:
            names.append(x509.IPAddress(IPv4Address("127.0.0.1")))
        certificate = (
            _unsigned(name, self.certificate.subject, key)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return ClientCertificate(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))


def _unsigned(name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(BEGINNING)
        .not_valid_after(BEGINNING + LIFETIME)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


def authority(name: str) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _unsigned(name, _named(name), key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(key, certificate)


OURS, OTHERS = authority("ours"), authority("others")


@asynccontextmanager
async def asking_for_a_certificate(folder: Path, *, name: str = "kubernetes", host: bool = True) -> AsyncIterator[str]:
    """The address of a server that is known by this name, and says to each client who it is."""
    shown = OURS.signs(name, host=host)
    chain = folder / "server.pem"
    chain.write_bytes(shown.certificate + shown.key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=OURS.pem.decode())
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(chain)

    async def answer(request: web.Request) -> web.Response:
        certificate = request.get_extra_info("peercert") or {}
        subject = dict(pair for part in certificate["subject"] for pair in part)
        return web.json_response({"commonName": subject["commonName"]})

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def asked(connection: Connection) -> bytes:
    async with Transport(connection, InstantClock(), Limits(attempts=1)) as transport:
        return await transport.send(READ)


async def test_the_server_hears_who_we_are_and_no_key_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    async with asking_for_a_certificate(tmp_path) as url:
        connection = Connection(url, ca=OURS.pem, certificate=OURS.signs("admin"))
        assert await asked(connection) == b'{"commonName": "admin"}'
    assert list(scratch.iterdir()) == []


async def test_without_a_certificate_nobody_is_let_in(tmp_path: Path) -> None:
    async with asking_for_a_certificate(tmp_path) as url:
        with pytest.raises(Unavailable):
            await asked(Connection(url, ca=OURS.pem))


async def test_a_server_of_another_authority_is_not_believed_unless_that_is_wished(tmp_path: Path) -> None:
    async with asking_for_a_certificate(tmp_path) as url:
        connection = Connection(url, ca=OTHERS.pem, certificate=OURS.signs("admin"))
        with pytest.raises(Unavailable, match="certificate"):
            await asked(connection)
        assert await asked(replace(connection, verifies=False)) == b'{"commonName": "admin"}'


async def test_a_server_may_be_known_by_another_name_than_its_address(tmp_path: Path) -> None:
    async with asking_for_a_certificate(tmp_path, name="kubernetes", host=False) as url:
        connection = Connection(url, ca=OURS.pem, certificate=OURS.signs("admin"))
        with pytest.raises(Unavailable, match="certificate"):
            await asked(connection)
        assert await asked(replace(connection, tls_server_name="kubernetes")) == b'{"commonName": "admin"}'
