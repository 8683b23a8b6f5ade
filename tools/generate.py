"""Write every generated file, or with --check say which are not what would be written.

A generator is a module in tools/generators with `outputs() -> Mapping[str, str]`: path in the repository to content.
It may name globs in `OWNS`: files that match and are not in its outputs are stale (deleted, or reported by --check).
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def wanted() -> tuple[dict[Path, str], set[Path]]:
    """All files that generators make, and the files that they own but do not make any more."""
    files: dict[Path, str] = {}
    owned: set[Path] = set()
    for outputs, globs in _generators():
        for name, content in outputs.items():
            path = ROOT / name
            if path in files:
                raise SystemExit(f"two generators write {name}")
            files[path] = content
        owned.update(path for glob in globs for path in ROOT.glob(glob))
    return files, owned - files.keys()


def _generators() -> Iterator[tuple[Mapping[str, str], tuple[str, ...]]]:
    for script in sorted((ROOT / "tools" / "generators").glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"generators_{script.stem}", script)
        if spec is None or spec.loader is None:
            raise SystemExit(f"cannot load {script}")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module.outputs(), tuple(getattr(module, "OWNS", ()))


def main() -> int:
    """Exit code 1 when --check finds a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, fail on a difference")
    check = parser.parse_args().check
    files, stale = wanted()
    changed = sorted(p for p, text in files.items() if not p.exists() or p.read_text("utf-8") != text)
    for path in changed:
        print(f"{'differs' if check else 'wrote'}: {path.relative_to(ROOT)}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path], "utf-8")
    for path in sorted(stale):
        print(f"{'stale' if check else 'deleted'}: {path.relative_to(ROOT)}")
        if not check:
            path.unlink()
    if check and (changed or stale):
        print("run `make generate`")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
