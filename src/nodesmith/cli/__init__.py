"""The command line: parse, call, print, exit code.

A command is one module here with a function `run`, whose docstring is its help; its name stands in `COMMANDS`. Only
the module of the command that was asked for is imported, so that none waits for another's libraries.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Final

import typer

COMMANDS: Final[tuple[str, ...]] = (
    "demo",
    "lint",
    "install",
    "doctor",
    "plan",
    "explain",
    "run",
    "decisions",
    "uninstall",
)
"""In the order that `--help` lists them; `a-b` is the module `a_b`."""


def main() -> None:
    """Run the command that the arguments name."""
    wanted = next((each for each in sys.argv[1:] if not each.startswith("-")), None)
    build([wanted] if wanted in COMMANDS else COMMANDS)(prog_name="nodesmith")


def build(commands: Iterable[str] = COMMANDS) -> typer.Typer:
    """The application with these commands."""
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    app.callback()(_root)
    for name in commands:
        module = import_module(f"nodesmith.cli.{name.replace('-', '_')}")
        settings, epilog = getattr(module, "CONTEXT_SETTINGS", None), getattr(module, "EPILOG", None)
        app.command(name, context_settings=settings, epilog=epilog)(module.run)
    return app


def _print_version(asked: bool) -> None:  # noqa: FBT001 - typer calls it with the option's value
    if asked:
        typer.echo(f"nodesmith {version('nodesmith')}")
        raise typer.Exit


def _root(
    *,
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """A node autoscaler for Kubernetes on AWS: Karpenter's API, the cheapest machines, every decision explained."""
