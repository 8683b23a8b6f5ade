"""Where the API server is and who we are: kubeconfig files, or the files that a pod finds in its container.

The result is data; `credentials` turns it into tokens. What we cannot honour (impersonation, auth-provider) is an
error and not ignored: acting as somebody else than the file says would be worse than not acting.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import yaml

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
EXEC_API_VERSION: Final = "client.authentication.k8s.io/v1"
_UNSUPPORTED: Final = ("as", "as-uid", "as-groups", "as-user-extra", "auth-provider")


class KubeconfigError(Exception):
    """The configuration does not say how to reach a cluster."""


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate and its key, PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Exec:
    """A program that prints credentials, such as `aws eks get-token`."""

    command: str
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    api_version: str = EXEC_API_VERSION
    provides_cluster_info: bool = False
    install_hint: str = ""


@dataclass(frozen=True, slots=True)
class Connection:
    """One cluster and one identity. Of token, token_file, exec, basic and certificate usually one is set."""

    server: str
    ca: bytes | None = None
    verifies: bool = True
    tls_server_name: str = ""
    proxy: str = ""
    namespace: str = "default"
    certificate: ClientCertificate | None = None
    token: str = ""
    token_file: Path | None = None
    basic: tuple[str, str] | None = None
    exec: Exec | None = None
    context: str = ""


def in_cluster(environment: Mapping[str, str], folder: Path = SERVICE_ACCOUNT) -> Connection | None:
    """The connection of a pod's service account, or None outside of a cluster.

    Raises:
        KubeconfigError: when the environment says pod and the files are missing.
    """
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        return None
    try:
        ca = (folder / "ca.crt").read_bytes()
        namespace = (folder / "namespace").read_text("utf-8").strip()
    except OSError as error:
        raise KubeconfigError(f"in a cluster, but no service account is mounted: {error}") from error
    literal = f"[{host}]" if ":" in host else host
    return Connection(f"https://{literal}:{port}", ca=ca, namespace=namespace, token_file=folder / "token")


def load(paths: Sequence[Path], *, context: str = "") -> Connection:
    """The connection of a context (the current one when none is named) in merged kubeconfig files.

    Raises:
        KubeconfigError: when no file is there, or they do not describe the context.
    """
    merged: dict[str, Any] = {"current-context": "", "clusters": {}, "users": {}, "contexts": {}}
    found = [path for path in paths if path.is_file()]
    if not found:
        raise KubeconfigError(f"no kubeconfig at {', '.join(map(str, paths)) or 'any path'}")
    for path in found:
        _merge(merged, _read(path), path.parent)
    return resolve(merged, context or merged["current-context"])


def default_paths(environment: Mapping[str, str]) -> list[Path]:
    """The files of KUBECONFIG, or the one in the home directory."""
    named = environment.get("KUBECONFIG", "")
    if named:
        return [Path(part).expanduser() for part in named.split(":") if part]
    return [Path("~/.kube/config").expanduser()]


def resolve(merged: Mapping[str, Any], context: str) -> Connection:
    """The connection that a context of the merged configuration describes.

    Raises:
        KubeconfigError: when it, its cluster or its user is not there, or asks for what we do not support.
    """
    if not context:
        raise KubeconfigError("the kubeconfig has no current-context; name a context")
    chosen = _named(merged, "contexts", context)
    cluster = _named(merged, "clusters", chosen.get("cluster") or "")
    user = _named(merged, "users", chosen["user"]) if chosen.get("user") else {}
    connection = _of_cluster(cluster)
    connection = _with_user(connection, user)
    return replace(connection, namespace=chosen.get("namespace") or "default", context=context)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise KubeconfigError(f"{path}: {error}") from error
    if not isinstance(document, dict):
        raise KubeconfigError(f"{path}: not a kubeconfig")
    return document


def _merge(merged: dict[str, Any], document: Mapping[str, Any], folder: Path) -> None:
    """Add what is not there yet: the first file that says something wins, as for kubectl."""
    merged["current-context"] = merged["current-context"] or document.get("current-context") or ""
    for section, entry in (("clusters", "cluster"), ("users", "user"), ("contexts", "context")):
        for item in document.get(section) or ():
            merged[section].setdefault(item.get("name"), {**(item.get(entry) or {}), "_folder": folder})


def _named(merged: Mapping[str, Any], section: str, name: str) -> Mapping[str, Any]:
    found = merged[section].get(name)
    if found is None:
        known = ", ".join(sorted(map(str, merged[section]))) or "none"
        raise KubeconfigError(f"the kubeconfig has no {section[:-1]} {name!r} (it has: {known})")
    entry: Mapping[str, Any] = found
    return entry


def _of_cluster(cluster: Mapping[str, Any]) -> Connection:
    server = cluster.get("server") or ""
    if not server.startswith(("https://", "http://")):
        raise KubeconfigError(f"the cluster's server is not a URL: {server!r}")
    return Connection(
        server.rstrip("/"),
        ca=_material(cluster, "certificate-authority"),
        verifies=not cluster.get("insecure-skip-tls-verify"),
        tls_server_name=cluster.get("tls-server-name") or "",
        proxy=cluster.get("proxy-url") or "",
    )


def _with_user(connection: Connection, user: Mapping[str, Any]) -> Connection:
    for name in _UNSUPPORTED:
        if user.get(name):
            raise KubeconfigError(f"the kubeconfig's user has {name!r}, which is not supported")
    certificate, key = _material(user, "client-certificate"), _material(user, "client-key")
    if (certificate is None) != (key is None):
        raise KubeconfigError("the kubeconfig's user has a client certificate without its key, or the key without it")
    token_file = user.get("tokenFile")
    username = user.get("username")
    return replace(
        connection,
        certificate=ClientCertificate(certificate, key) if certificate is not None and key is not None else None,
        token=user.get("token") or "",
        token_file=_beside(user, token_file) if token_file else None,
        basic=(username, user.get("password") or "") if username else None,
        exec=_exec(user),
    )


def _exec(user: Mapping[str, Any]) -> Exec | None:
    stated = user.get("exec")
    if not stated:
        return None
    command = stated.get("command") or ""
    if not command:
        raise KubeconfigError("the kubeconfig's exec has no command")
    return Exec(
        command=str(_beside(user, command)) if "/" in command else command,
        arguments=tuple(str(each) for each in stated.get("args") or ()),
        environment=tuple((each["name"], str(each["value"])) for each in stated.get("env") or ()),
        api_version=stated.get("apiVersion") or EXEC_API_VERSION,
        provides_cluster_info=bool(stated.get("provideClusterInfo")),
        install_hint=stated.get("installHint") or "",
    )


def _material(entry: Mapping[str, Any], name: str) -> bytes | None:
    """What `NAME-data` holds or the file `NAME` does; data goes first, as for kubectl."""
    try:
        if data := entry.get(f"{name}-data"):
            return base64.b64decode(data, validate=True)
        if path := entry.get(name):
            return _beside(entry, path).read_bytes()
    except (OSError, binascii.Error) as error:
        raise KubeconfigError(f"the kubeconfig's {name} cannot be read: {error}") from error
    return None


def _beside(entry: Mapping[str, Any], path: str) -> Path:
    folder: Path = entry.get("_folder") or Path()
    return folder / path
