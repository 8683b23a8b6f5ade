"""The Dockerfile, as far as it can be tried without a container runtime: its paths are there, its steps work, in order.

What is not tried: the base image, its Python, and that layers become an image.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

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


def test_the_steps_make_an_environment_in_which_the_command_runs(tmp_path: Path) -> None:
    work, home = tmp_path / "src", tmp_path / "opt"
    work.mkdir()
    first, last = STAGES
    for instruction, rest in STEPS[first + 1 : last]:
        if instruction == "COPY":
            *sources, target = rest.split()
            for source in sources:
                place = work / target if target != "./" else work
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, place)
                else:
                    place.mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / source, place)
        elif instruction == "RUN":
            command = rest.replace("/opt/nodesmith", str(home)).replace("python -m venv", f"{sys.executable} -m venv")
            done = subprocess.run(["/bin/sh", "-c", command], cwd=work, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    environment = {"PATH": f"{home / 'bin'}:{os.environ['PATH']}", "HOME": str(tmp_path)}  # noqa: TID251 - for a process
    entry = shlex.split(dict(STEPS[last + 1 :])["ENTRYPOINT"].strip("[]"))
    asked = subprocess.run([*entry, "run"], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert asked.returncode == 2, asked.stderr
    assert "CLUSTER_NAME: must be set" in asked.stderr
    found = subprocess.run(
        [str(home / "bin" / "python"), "-c", "import nodesmith; print(nodesmith.__file__)"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.startswith(str(home)), "the sources stay behind"
