"""docs/reference/doctor.md, from the table of checks."""

from nodesmith.install.doctor.check import Group
from nodesmith.install.doctor.table import CHECKS, GROUPS

HEAD = """# nodesmith doctor

`nodesmith doctor --cluster NAME` looks at an account and a cluster, changes nothing, and says what is wrong with the
set-up, why, and what to do. It has {count} checks. Each fails, warns, says that all is well, does not apply, or could
not look; `--all` shows every one, `--check ND301` runs one alone, `-o json` is for programs. The exit code is 1 when a
check failed, and 2 when the question was not understood. Numbers never change. Generated from the checks; do not edit.
"""
TITLES = ("check", "what should be so", "why it may not be", "what to do")


def outputs() -> dict[str, str]:
    """The page."""
    return {"docs/reference/doctor.md": "\n".join([HEAD.format(count=len(CHECKS)), *map(_section, GROUPS)])}


def _section(group: Group) -> str:
    rows = [TITLES, ("---",) * len(TITLES)]
    rows += [(each.number, each.title, each.cause, each.cure) for each in group.checks]
    return f"## {group.title}\n\n" + "".join(f"| {' | '.join(map(_cell, row))} |\n" for row in rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
