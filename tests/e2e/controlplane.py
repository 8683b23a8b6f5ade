"""A real control plane on 127.0.0.1: etcd, API server, controller manager, scheduler, kwok, each its own process.

Ports are free ones, chosen at the start; nothing is written outside of the given folder; processes die with this one.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

ADMIN: Final = "admin-token"
CONTROLLER: Final = "controller-token"
CONTROLLER_USER: Final = "system:serviceaccount:kube-system:karpenter"
GATED: Final = "gated-token"
GATED_USER: Final = "system:serviceaccount:kube-system:gated"
"""Of a release by this name, with features that the first one has not."""
READY_WITHIN_S: Final = 120.0
UNTHROTTLED: Final = ("--kube-api-qps=400", "--kube-api-burst=600")
"""What a managed control plane gives its own components; the defaults make 20 pods a second."""
EVERYTHING: Final = ("*", "-node-ipam-controller")

AUDIT_POLICY: Final = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "users": [CONTROLLER_USER, GATED_USER]}, {"level": "None"}],
}
_PORTS: Final = iter(range(20_000 + os.getpid() % 100 * 100, 32_000))
SYSTEM_GROUPS: Final = "system:serviceaccounts,system:serviceaccounts:kube-system"


def free_port() -> int:
    """A port that nobody listens on now, another one each time.

    It is taken from below those that the system gives to outgoing connections: between now and the moment a server
    listens on it nobody else is given it.
    """
    for port in _PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("every port is taken")


@dataclass
class ControlPlane:
    """The processes of one control plane. `programs` is the folder of built programs, `folder` its own to write to."""

    programs: Path
    folder: Path
    controllers: Sequence[str] = EVERYTHING
    schedules: bool = True
    simulates_nodes: bool = True
    stages: Path | None = None
    """How kwok brings nodes and pods along, where that is not by its own stages."""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    @property
    def server(self) -> str:
        """Where the API server is."""
        return f"https://127.0.0.1:{self.ports['kube-apiserver']}"

    @property
    def ca(self) -> Path:
        """The certificate that the API server made for itself, with its issuer's."""
        return self.folder / "certs" / "apiserver.crt"

    @property
    def kubeconfig(self) -> Path:
        """For the administrator."""
        return self.kubeconfig_for(ADMIN)

    @property
    def audit_log(self) -> Path:
        """What the controller's user asked for, a JSON object a line."""
        return self.folder / "audit.log"

    def kubeconfig_for(self, token: str) -> Path:
        """A kubeconfig with this token."""
        path = self.folder / f"kubeconfig-{token}"
        cluster = {"server": self.server, "certificate-authority": str(self.ca)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "user", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "user"}}],
            "current-context": "test",
        }
        path.write_text(json.dumps(document))
        return path

    def start(self) -> None:
        """Everything is up and answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write_keys()
        self.start_etcd()
        self.start_apiserver()
        self._start_controllers()
        self._wait_for_namespace()

    def start_etcd(self) -> None:
        """etcd is started, with the data it had if it was there before."""
        client, peer = self._port("etcd"), self._port("etcd-peer")
        self._start(
            "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls=http://127.0.0.1:{client}",
            f"--advertise-client-urls=http://127.0.0.1:{client}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster=default=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        )

    def start_apiserver(self) -> None:
        """The API server answers, on the port it had if it was there before."""
        self._start(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self.ports['etcd']}",
            f"--secure-port={self._port('kube-apiserver')}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={self.folder / 'certs'}",
            f"--service-account-key-file={self.folder / 'sa.pub'}",
            f"--service-account-signing-key-file={self.folder / 'sa.key'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--disable-admission-plugins=ServiceAccount",
            f"--audit-policy-file={self.folder / 'audit-policy.json'}",
            f"--audit-log-path={self.audit_log}",
        )
        self._wait_until_ready()

    def _start_controllers(self) -> None:
        self._start(
            "kube-controller-manager",
            f"--kubeconfig={self.kubeconfig}",
            f"--service-account-private-key-file={self.folder / 'sa.key'}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._port('kube-controller-manager')}",
            f"--cert-dir={self.folder / 'certs-kcm'}",
            f"--controllers={','.join(self.controllers)}",
            *UNTHROTTLED,
        )
        if self.schedules:
            self._start(
                "kube-scheduler",
                f"--kubeconfig={self.kubeconfig}",
                "--leader-elect=false",
                "--bind-address=127.0.0.1",
                f"--secure-port={self._port('kube-scheduler')}",
                f"--cert-dir={self.folder / 'certs-sched'}",
                *UNTHROTTLED,
            )
        if self.simulates_nodes:
            self._start(
                "kwok",
                f"--kubeconfig={self.kubeconfig}",
                "--manage-all-nodes=true",
                f"--server-address=127.0.0.1:{self._port('kwok')}",
                *((f"--config={self.stages}", "--node-lease-duration-seconds=40") if self.stages else ()),
            )

    def kill(self, name: str) -> None:
        """The process is gone, without warning."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def stop(self) -> None:
        """Every process is gone; what they held is thrown away, so nobody is asked to tidy up first."""
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()
        self.processes.clear()

    def kubectl(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """What kubectl answers."""
        command = [str(self.programs / "kubectl"), f"--kubeconfig={self.kubeconfig}", *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=120)

    def _port(self, name: str) -> int:
        return self.ports.setdefault(name, free_port())

    def _start(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [str(self.programs / name), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                preexec_fn=die_with_parent if _is_main_thread() else None,  # noqa: PLW1509 - one system call
            )

    def _write_keys(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        private = key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain)
        public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
        (self.folder / "sa.key").write_bytes(private)
        (self.folder / "sa.pub").write_bytes(public)
        (self.folder / "audit-policy.json").write_text(json.dumps(AUDIT_POLICY))
        (self.folder / "tokens.csv").write_text(
            f'{ADMIN},admin,admin,system:masters\n{CONTROLLER},{CONTROLLER_USER},karpenter,"{SYSTEM_GROUPS}"\n'
            f'{GATED},{GATED_USER},gated,"{SYSTEM_GROUPS}"\n'
        )

    def _wait_until_ready(self) -> None:
        self._wait_for("/readyz")

    def _wait_for_namespace(self) -> None:
        self._wait_for("/api/v1/namespaces/default")

    def _wait_for(self, path: str) -> None:
        """Ask until the answer is yes, or a process has died, or it takes too long."""
        end = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < end:
            for name, process in self.processes.items():
                if process.poll() is not None:
                    raise RuntimeError(f"{name} ended:\n{self.log_of(name)}")
            with contextlib.suppress(OSError):
                if self._ask(path):
                    return
            time.sleep(0.1)  # noqa: TID251 - a test set-up may wait
        raise RuntimeError(f"{path} did not answer in time:\n{self.log_of('kube-apiserver')}")

    def _ask(self, path: str) -> bool:
        context = ssl.create_default_context(cafile=str(self.ca))
        request = urllib.request.Request(self.server + path, headers={"Authorization": f"Bearer {ADMIN}"})  # noqa: S310 - ours
        with urllib.request.urlopen(request, context=context, timeout=5) as answer:  # noqa: S310 - ours
            return bool(answer.status == 200)

    def log_of(self, name: str) -> str:
        """The end of a process's log."""
        return "\n".join((self.folder / f"{name}.log").read_text("utf-8", "replace").splitlines()[-20:])


@contextlib.contextmanager
def running(plane: ControlPlane) -> Iterator[ControlPlane]:
    """The control plane, up, and down in the end."""
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()


def _is_main_thread() -> bool:
    """The kernel means the parent thread when it speaks of the parent: a child of a short-lived thread would die with it."""
    return threading.current_thread() is threading.main_thread()


def die_with_parent() -> None:
    """A test run that is killed leaves nothing behind (Linux only; elsewhere nothing happens)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
