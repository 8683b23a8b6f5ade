"""The Dockerfile, as far as it can be tried without a container runtime: its paths are there, its steps work, in order.

What is not tried: the base image, its Python, and that layers become an image.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text()).splitlines()
STEPS = [line.split(maxsplit=1) for line in LINES if line and not line.startswith("#")]
STAGES = [index for index, step in enumerate(STEPS) if step[0] == "FROM"]


def test_it_has_two_stages_of_the_same_base_and_runs_as_nobody() -> None:
    first, last = STAGES
    assert STEPS[first][1].split()[0] == STEPS[last][1]
    final = dict(STEPS[last + 1 :])
    assert final["USER"] == "65532:65532", "the chart's security context says the same"
    assert (final["ENTRYPOINT"], final["CMD"]) == ('["nodesmith"]', '["run"]')


def test_nothing_is_installed_that_is_not_pinned_by_its_hash() -> None:
    installs = [rest for instruction, rest in STEPS if instruction == "RUN" and "pip install" in rest]
    assert installs
    assert all(
        "--require-hashes" in each or ("--no-deps ." in each and "--no-build-isolation" in each) for each in installs
    ), installs


def test_what_is_copied_is_there_and_is_not_left_out() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [step[1].split()[:-1] for step in STEPS if step[0] == "COPY" and "--from=" not in step[1]]
    for source in (each for sources in copied for each in sources):
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored, "all else is left out"


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """The environment that the build stage's own steps make; readable by everybody, as in the image."""
    folder = Path(tempfile.mkdtemp(prefix="nodesmith-image-"))
    work, home = folder / "src", folder / "opt"
    work.mkdir()
    first, last = STAGES
    for instruction, rest in STEPS[first + 1 : last]:
        if instruction == "COPY":
            _copy(rest, work)
        elif instruction == "RUN":
            command = rest.replace("/opt/nodesmith", str(home)).replace("python -m venv", f"{sys.executable} -m venv")
            done = subprocess.run(["/bin/sh", "-c", command], cwd=work, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    shutil.rmtree(work)
    folder.chmod(0o755)
    yield home
    subprocess.run(["/bin/chmod", "-R", "u+w", str(folder)], check=True)
    shutil.rmtree(folder)


def _copy(step: str, work: Path) -> None:
    *sources, target = step.split()
    for source in sources:
        place = work / target if target != "./" else work
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, place)
        else:
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, place)


def run_as_nobody(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What the entry point does with these arguments, with the image's variables, as its user."""
    final = dict(STEPS[STAGES[1] + 1 :])
    stated = dict(pair.split("=", 1) for pair in final["ENV"].split())
    stated["PATH"] = stated["PATH"].replace("/opt/nodesmith/bin:$PATH", f"{home / 'bin'}:/usr/bin:/bin")
    variables = [f"{name}={value}" for name, value in {**stated, **environment}.items()]
    command = [*_as_user(final["USER"]), "/usr/bin/env", "-i", *variables]
    command += [*shlex.split(final["ENTRYPOINT"].strip("[]")), *arguments]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)


def _as_user(stated: str) -> list[str]:
    """As another user, who may read everything (this Python may be where only root looks) and write nothing.

    Whoever is not root stays himself, and has made everything read-only.
    """
    if os.geteuid() != 0:
        return []
    user, _, group = stated.partition(":")
    reads = (
        "--inh-caps=-all,+dac_read_search",
        "--ambient-caps=+dac_read_search",
        "--bounding-set=-all,+dac_read_search",
    )
    return ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", *reads, "--no-new-privs"]


def test_the_command_runs_and_the_sources_stay_behind(home: Path) -> None:
    asked = run_as_nobody(home, "run")
    assert asked.returncode == 2, asked.stderr
    assert "CLUSTER_NAME: must be set" in asked.stderr
    found = subprocess.run(
        [str(home / "bin" / "python"), "-c", "import nodesmith; print(nodesmith.__file__)"],
        env={},
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.startswith(str(home)), "the sources stay behind"


def test_it_starts_as_nobody_on_a_file_system_that_takes_no_writes(home: Path) -> None:
    """With everything read-only but where certificates pass through, up to the API server that is not there."""
    subprocess.run(["/bin/chmod", "-R", "a-w", str(home)], check=True)
    before = _files(home)
    assert run_as_nobody(home, "--help", HOME="/nonexistent").returncode == 0
    kubeconfig = home.parent / "kubeconfig"
    kubeconfig.write_text(json.dumps(_kubeconfig()))
    kubeconfig.chmod(0o644)
    chosen = {"CLUSTER_NAME": "shop", "AWS_REGION": "ap-northeast-2", "KUBECONFIG": str(kubeconfig)}
    started = run_as_nobody(home, "run", HOME="/nonexistent", **chosen)
    assert started.returncode == 1, started.stderr
    lines = [json.loads(line) for line in started.stdout.splitlines()]
    assert [line["message"] for line in lines] == ["starting", "stopping on an error"]
    assert "Unavailable: list leases karpenter-leader-election" in lines[1]["error"]
    assert _files(home) == before


def _kubeconfig() -> dict[str, object]:
    return {
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:9"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }


def _files(folder: Path) -> set[Path]:
    return {each for each in folder.rglob("*") if each.is_file()}
