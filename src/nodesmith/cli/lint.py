"""`nodesmith lint`: what is wrong in manifests, Helm values and Terraform, by line; `--fix` corrects what is plain."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from nodesmith.api.documents import STDIN
from nodesmith.api.fault import Fault, errors
from nodesmith.api.lint.files import Report, fix, lint
from nodesmith.api.lint.terraform import Needs
from nodesmith.install.names import Names
from nodesmith.install.policies import RULES, controller_policies

WRONG: Final = 2

_IF_ASKED: Final = frozenset({"arc-zonal-shift:GetManagedResource"})
"""Actions of features that are off by default."""


class Output(StrEnum):
    """How faults are printed."""

    TEXT = "text"
    JSON = "json"


def run(
    paths: Annotated[
        list[Path], typer.Argument(help="Files or folders with manifests, Helm values or Terraform; - for stdin.")
    ],
    *,
    fix_files: Annotated[
        bool, typer.Option("--fix", help="Write corrected files where the correction is plain.")
    ] = False,
    output: Annotated[Output, typer.Option("-o", "--output", help="How to print the faults.")] = Output.TEXT,
) -> None:
    """Say what is wrong in manifests, Helm values and Terraform, without a cluster. Exits with 2 when something is."""
    needs = controller_needs()
    if fix_files:
        try:
            report = fix([path for path in paths if str(path) != STDIN], needs)
        except OSError as error:
            typer.echo(f"error: {error.filename}: cannot be written: {error.strerror}", err=True)
            raise typer.Exit(WRONG) from error
    else:
        report = lint(paths, needs, stdin=sys.stdin.read() if Path(STDIN) in paths else "")
    typer.echo(json.dumps(to_json(report), indent=1, ensure_ascii=False) if output is Output.JSON else to_text(report))
    if errors(report.faults):
        raise typer.Exit(WRONG)


def controller_needs() -> Needs:
    """What the controller calls and hears of, as `nodesmith install` grants it."""
    names = Names(cluster="cluster", account="000000000000", region="region", issuer="")
    actions: set[str] = set()
    for policy in controller_policies(names).values():
        for statement in policy["Statement"]:
            stated: str | list[str] = statement["Action"]
            actions.update([stated] if isinstance(stated, str) else stated)
    return Needs(frozenset(actions - _IF_ASKED), RULES)


def to_text(report: Report) -> str:
    """The report for people."""
    fixed = [f"fixed: {fault.file}:{fault.line}: {fault.message}" for fault in report.fixed]
    return "\n\n".join([*fixed, *map(str, report.faults), _summary(report)])


def to_json(report: Report) -> dict[str, Any]:
    """The report for programs."""
    return {"files": report.file_count, "faults": _listed(report.faults), "fixed": _listed(report.fixed)}


def _listed(faults: Sequence[Fault]) -> list[dict[str, Any]]:
    return [
        {
            "file": fault.file,
            "line": fault.line,
            "path": fault.path,
            "severity": str(fault.severity),
            "message": fault.message,
            "hint": fault.hint,
            "fixable": fault.edit is not None,
        }
        for fault in faults
    ]


def _summary(report: Report) -> str:
    wrong = len(errors(report.faults))
    warnings = len(report.faults) - wrong
    told = f"{_count(wrong, 'error')}, {_count(warnings, 'warning')} in {_count(report.file_count, 'file')}"
    fixable = sum(fault.edit is not None for fault in report.faults)
    return f"{told}; --fix puts {fixable} right" if fixable else told


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
