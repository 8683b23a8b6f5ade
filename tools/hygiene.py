"""Find what must not be in the repository: registry addresses, paths of this machine, unfinished work, large files.

The forbidden words are not listed here: the registries are asked of pip's and Go's configuration, the paths are those
of this very clone, so that the check holds on any machine.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
LARGEST_BYTES = 1 << 20

# Places that documents, images and tests name for good reasons.
COMMON = {"/", "/app", "/build", "/builds", "/home", "/mnt", "/opt", "/root", "/src", "/srv", "/tmp", "/usr", "/var"}  # noqa: S108 - names to leave out, not to write to

RULES: dict[str, re.Pattern[str]] = {
    "a package registry's address": re.compile(
        r"\b(?:pypi|pythonhosted|npmjs|crates)\.(?:org|com|io)\b|\b(?:proxy|sum)\.golang\.org\b"
    ),
    "a registry option": re.compile(r"^\s*--?(?:extra-)?(?:index-url|trusted-host|find-links|i)[ =]", re.MULTILINE),
    "a home directory": re.compile(r"(?<![\w.])/(?:home|Users)/(?!nonroot\b|nodesmith\b|runner\b)[a-z][\w.-]*/"),
    "unfinished work": re.compile(r"#\s*(?:TODO|FIXME|XXX|HACK)\b"),
    "a merge left open": re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE),
}


def tracked() -> list[Path]:
    """Files under version control, and new ones that are not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
    return [path for name in names if name and (path := ROOT / name).is_file()]


def of_this_machine() -> dict[str, re.Pattern[str]]:
    """Rules made from where this clone lies and from which registries this machine uses."""
    places = {str(parent) for parent in (ROOT, *ROOT.parents)} - COMMON
    rules = {f"a path of this machine ({place})": _path(place) for place in places}
    for host in _registries():
        rules[f"this machine's registry ({host})"] = re.compile(re.escape(host))
    return rules


def _path(place: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.]){re.escape(place)}(?:/|\b(?!-))")


def _registries() -> set[str]:
    text = ""
    for command in ([sys.executable, "-m", "pip", "config", "list"], ["go", "env", "GOPROXY", "GOSUMDB"]):
        try:
            text += subprocess.run(command, capture_output=True, check=False, text=True).stdout
        except FileNotFoundError:
            continue
    found = (urlsplit(url).hostname for url in re.findall(r"https?://[^\s'\",|]+", text))
    return {host for host in found if host and not host.startswith("127.") and host != "localhost"}


def faults() -> list[str]:
    """One line for each thing found."""
    rules = RULES | of_this_machine()
    lines = []
    for path in tracked():
        name = path.relative_to(ROOT)
        size = path.stat().st_size
        if size > LARGEST_BYTES:
            lines.append(f"{name}: {size} bytes; compress it or leave it out")
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        for what, pattern in rules.items():
            lines += [f"{name}:{text.count(chr(10), 0, hit.start()) + 1}: {what}" for hit in pattern.finditer(text)]
    return lines


def main() -> int:
    """Exit code 1 when something was found."""
    found = faults()
    print("\n".join(found) or "hygiene: nothing found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
