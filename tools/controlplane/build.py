"""Build a real Kubernetes control plane from Go modules, once, into a cache outside of the repository.

Makes etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubectl, kwok and helm; needs Go and its module
proxy, nothing else. Kubernetes' own module names its parts as local folders; they are replaced by the published modules
of the same version. The folder's name is a hash of the pins below, so a change of version builds again. A build that
was cut off goes on where it stopped.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

KUBERNETES: Final = "v1.34.4"
STAGING: Final = "v0.34.4"
OVERRIDE: Final = "NODESMITH_CONTROLPLANE"


@dataclass(frozen=True, slots=True)
class Program:
    """One program: the package it is built from and the module, at its version, that has it."""

    name: str
    package: str
    module: str
    version: str


PROGRAMS: Final = (
    Program("etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3", "v3.6.8"),
    *(
        Program(name, f"k8s.io/kubernetes/cmd/{name}", "k8s.io/kubernetes", KUBERNETES)
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
    ),
    Program("kwok", "sigs.k8s.io/kwok/cmd/kwok", "sigs.k8s.io/kwok", "v0.7.0"),
    Program("helm", "helm.sh/helm/v3/cmd/helm", "helm.sh/helm/v3", "v3.19.0"),
)
LINKER_FLAGS: Final = (
    "-s -w"
    f" -X k8s.io/component-base/version.gitVersion={KUBERNETES}"
    " -X k8s.io/component-base/version.gitMajor=1"
    f" -X k8s.io/component-base/version.gitMinor={KUBERNETES.split('.')[1]}"
)


def home() -> Path:
    """The folder of this set of versions; `bin` in it has the programs."""
    chosen = os.environ.get(OVERRIDE)  # noqa: TID251 - the tool's own composition root
    if chosen:
        return Path(chosen).expanduser()
    pins = json.dumps([[p.name, p.package, p.version] for p in PROGRAMS] + [STAGING, LINKER_FLAGS])
    return Path("~/.cache/nodesmith/controlplane").expanduser() / hashlib.sha256(pins.encode()).hexdigest()[:12]


def missing(folder: Path) -> list[Program]:
    """What has to be built yet."""
    return [program for program in PROGRAMS if not os.access(folder / "bin" / program.name, os.X_OK)]


def build(folder: Path) -> None:
    """Every program is in `folder`/bin.

    Raises:
        SystemExit: when Go is missing or a step fails.
    """
    if not missing(folder):
        return
    if shutil.which("go") is None:
        raise SystemExit(f"the control plane is built with Go, which is not on PATH; or set {OVERRIDE} to a built one")
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    with _only_one(folder / "lock"):
        for version in sorted({(program.module, program.version) for program in missing(folder)}):
            wanted = [program for program in missing(folder) if (program.module, program.version) == version]
            _build_module(folder, wanted)


def _build_module(folder: Path, programs: list[Program]) -> None:
    with tempfile.TemporaryDirectory(dir=folder, prefix="build-") as scratch:
        work = Path(scratch)
        _write_module(work, programs)
        for program in programs:
            print(f"building {program.name} {program.version}", flush=True)
            _go(work, "build", "-trimpath", "-ldflags", LINKER_FLAGS, "-o", program.name, program.package)
            (work / program.name).replace(folder / "bin" / program.name)


def _write_module(work: Path, programs: list[Program]) -> None:
    """A module of our own that needs the programs, with what their module replaces replaced by published versions."""
    module, version = programs[0].module, programs[0].version
    print(f"fetching {module} {version}", flush=True)
    _go(work, "mod", "init", "controlplane")
    _go(work, "mod", "edit", f"-require={module}@{version}")
    if module == "k8s.io/kubernetes":
        downloaded = json.loads(_go(work, "mod", "download", "-json", f"{module}@{version}"))
        for replaced in json.loads(_go(work, "mod", "edit", "-json", downloaded["GoMod"]))["Replace"]:
            path = replaced["Old"]["Path"]
            _go(work, "mod", "edit", f"-replace={path}={path}@{STAGING}")
    imports = "\n".join(f'\t_ "{program.package}"' for program in programs)
    (work / "tools.go").write_text(f"//go:build tools\n\npackage tools\n\nimport (\n{imports}\n)\n", "utf-8")
    _go(work, "mod", "tidy", "-e")


def _go(work: Path, *arguments: str) -> str:
    nice = ["nice", "-n", "15"] if shutil.which("nice") else []
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}  # noqa: TID251 - Go needs the caller's
    done = subprocess.run(
        [*nice, "go", *arguments], cwd=work, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"go {' '.join(arguments)} failed:\n{done.stderr[-4000:]}")
    return done.stdout


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Two builds at once would do the work twice; the second waits and finds it done."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Print where the programs are; with --check, exit 1 if they have to be built."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="build nothing")
    folder = home()
    if parser.parse_args().check:
        lacking = ", ".join(program.name for program in missing(folder))
        print(f"missing: {lacking}" if lacking else folder / "bin")
        return 1 if lacking else 0
    build(folder)
    print(f"control plane: {folder / 'bin'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
