"""Who we are, renewed in time: fixed tokens, token files that rotate, programs that print credentials."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from nodesmith.adapters.kubernetes.kubeconfig import ClientCertificate, Connection, Exec
from nodesmith.api.meta import parse_time
from nodesmith.ports.clock import Clock
from nodesmith.ports.errors import Refused, Unavailable

TOKEN_FILE_PERIOD: Final = timedelta(minutes=1)
BEFORE_EXPIRY: Final = timedelta(minutes=1)
EXEC_DEADLINE_S: Final = 60
_FOREVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a request carries: an Authorization header (may be empty), and perhaps a certificate."""

    authorization: str = ""
    certificate: ClientCertificate | None = None


class Source(Protocol):
    """Where identities come from."""

    async def read(self) -> tuple[Identity, datetime]:
        """A fresh identity, and when to ask again."""
        ...


class Credentials:
    """The identity of now; asked of its source again when it has run out or was refused."""

    def __init__(self, source: Source, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._identity = Identity()
        self._until: datetime | None = None
        self._turn = asyncio.Lock()

    async def identity(self) -> Identity:
        """The identity to use for a request made now.

        Raises:
            Refused: when the source has none to give.
            Unavailable: when the source did not answer in time.
        """
        if not self._is_fresh():
            async with self._turn:  # one program run for all who wait
                if not self._is_fresh():
                    self._identity, self._until = await self._source.read()
        return self._identity

    def refused(self, identity: Identity) -> bool:
        """Note that the server did not accept this identity; whether another may be had by asking again."""
        if identity is not self._identity:
            return True
        self._until = None
        return not isinstance(self._source, Fixed)

    def _is_fresh(self) -> bool:
        return self._until is not None and self._clock.now() < self._until


def credentials_for(connection: Connection, clock: Clock) -> Credentials:
    """The credentials that a connection describes."""
    return Credentials(_source(connection, clock), clock)


def _source(connection: Connection, clock: Clock) -> Source:
    if connection.exec is not None:
        return Program(connection.exec, connection)
    if connection.token_file is not None:
        return TokenFile(connection.token_file, clock)
    if connection.token:
        return Fixed(Identity(_bearer(connection.token), connection.certificate))
    if connection.basic is not None:
        pair = base64.b64encode(":".join(connection.basic).encode()).decode()
        return Fixed(Identity(f"Basic {pair}", connection.certificate))
    return Fixed(Identity(certificate=connection.certificate))


@dataclass(frozen=True, slots=True)
class Fixed:
    """An identity that never changes."""

    value: Identity

    async def read(self) -> tuple[Identity, datetime]:
        """The identity, for ever."""
        return self.value, _FOREVER


@dataclass(frozen=True, slots=True)
class TokenFile:
    """A token in a file that the kubelet (or somebody else) replaces before it runs out."""

    path: Path
    clock: Clock

    async def read(self) -> tuple[Identity, datetime]:
        """The token in the file now, to be read again in a minute.

        Raises:
            Refused: when the file cannot be read.
        """
        try:
            token = (await asyncio.to_thread(self.path.read_text, "utf-8")).strip()
        except OSError as error:
            raise Refused(f"no token: {error}") from error
        return Identity(_bearer(token)), self.clock.now() + TOKEN_FILE_PERIOD


@dataclass(frozen=True, slots=True)
class Program:
    """A credential plugin. Its standard error is shown to the user, its standard input is closed."""

    exec: Exec
    connection: Connection

    async def read(self) -> tuple[Identity, datetime]:
        """What the program printed, until a minute before it runs out.

        Raises:
            Refused: when it is not there, fails or prints something else.
            Unavailable: when it takes too long.
        """
        return identity_of(await self._run(), self.exec)

    async def _run(self) -> bytes:
        environment = {**os.environ, **dict(self.exec.environment)}  # noqa: TID251 - a plugin inherits ours by contract
        environment["KUBERNETES_EXEC_INFO"] = json.dumps(exec_info(self.exec, self.connection))
        try:
            process = await asyncio.create_subprocess_exec(
                self.exec.command,
                *self.exec.arguments,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            hint = f"; {self.exec.install_hint}" if self.exec.install_hint else ""
            raise Refused(f"cannot run the credential plugin {self.exec.command}: {error}{hint}") from error
        try:
            async with asyncio.timeout(EXEC_DEADLINE_S):
                output, _ = await process.communicate()
        except TimeoutError as error:
            raise Unavailable(f"the credential plugin {self.exec.command} did not answer") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise Refused(f"the credential plugin {self.exec.command} failed with exit code {process.returncode}")
        return output


def exec_info(program: Exec, connection: Connection) -> dict[str, Any]:
    """What a plugin is told, in KUBERNETES_EXEC_INFO."""
    spec: dict[str, Any] = {"interactive": False}
    if program.provides_cluster_info:
        cluster: dict[str, Any] = {"server": connection.server}
        if connection.ca is not None:
            cluster["certificate-authority-data"] = base64.b64encode(connection.ca).decode()
        if connection.tls_server_name:
            cluster["tls-server-name"] = connection.tls_server_name
        if not connection.verifies:
            cluster["insecure-skip-tls-verify"] = True
        spec["cluster"] = cluster
    return {"apiVersion": program.api_version, "kind": "ExecCredential", "spec": spec}


def identity_of(output: bytes, program: Exec) -> tuple[Identity, datetime]:
    """The identity in an ExecCredential, and until when it is good.

    Raises:
        Refused: when the output is none, or of another version than was asked for.
    """
    try:
        document = json.loads(output)
        status = document["status"]
        version = document.get("apiVersion")
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"the credential plugin {program.command} did not print an ExecCredential") from error
    if version != program.api_version:
        raise Refused(f"the credential plugin printed {version}, the kubeconfig wants {program.api_version}")
    token, certificate, key = (status.get(k) for k in ("token", "clientCertificateData", "clientKeyData"))
    if not token and not (certificate and key):
        raise Refused(f"the credential plugin {program.command} printed neither a token nor a certificate")
    pair = ClientCertificate(certificate.encode(), key.encode()) if certificate and key else None
    expires = parse_time(status.get("expirationTimestamp"))
    return Identity(_bearer(token) if token else "", pair), expires - BEFORE_EXPIRY if expires else _FOREVER


def _bearer(token: str) -> str:
    return f"Bearer {token}"
