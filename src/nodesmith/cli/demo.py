"""`nodesmith demo`: the whole story on AWS in a box and a cluster in memory. No account, no network, nothing kept."""

from __future__ import annotations

import os
from enum import StrEnum
from time import perf_counter
from typing import Annotated, Final

import typer
from rich.console import Console

FAILED: Final = 1
NOT_INSTALLED: Final = 2
_WIDTH_OF_A_FILE: Final = 140


class Pace(StrEnum):
    """How fast time passes."""

    FAST = "fast"
    REAL = "real"


def run(
    *,
    pace: Annotated[Pace, typer.Option(help="fast: waiting takes no time; real: as long as it would.")] = Pace.FAST,
    seed: Annotated[int, typer.Option(help="Another seed is another run; the same is the same, to the letter.")] = 0,
    log: Annotated[
        typer.FileTextWrite | None, typer.Option(help="Write everything that happened to this file.")
    ] = None,
) -> None:
    """From a NodePool with two slips in it to an account with nothing left: watch it happen, and see it checked."""
    _forget_the_machine()
    try:
        from nodesmith.sim.demo.run import run_demo  # noqa: PLC0415 - it needs an extra, and other commands do not
    except ModuleNotFoundError as error:
        typer.echo(f"error: the demo needs {error.name}\n\nhint: pip install 'nodesmith[sim]'", err=True)
        raise typer.Exit(NOT_INSTALLED) from None
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH_OF_A_FILE)
    started = perf_counter()
    result = run_demo(console, seed=seed, pace=1.0 if pace is Pace.REAL else 0.0)
    if log is not None:
        log.write(result.log)
    console.print()
    if result.held:
        console.print(f"[green]All of it held.[/] [dim]({perf_counter() - started:.1f} s)[/]")
        return
    console.print(f"[bold red]{len(result.failures)} checks failed:[/]")
    for failure in result.failures:
        console.print(f"  {failure}", markup=False)
    raise typer.Exit(FAILED)


def _forget_the_machine() -> None:
    """No profile, key or endpoint of this machine plays a part: moto looks at them as soon as it is imported."""
    for name in [each for each in os.environ if each.startswith("AWS_")]:  # noqa: TID251 - a composition root
        del os.environ[name]  # noqa: TID251 - as above
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        os.environ[name] = os.devnull  # noqa: TID251 - as above
