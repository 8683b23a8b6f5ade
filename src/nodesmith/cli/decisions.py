"""`nodesmith decisions`: the last decisions of the running controller, and what they were decided on."""

from __future__ import annotations

import json
from http.client import HTTPException
from typing import Annotated, Any, Final
from urllib.error import URLError
from urllib.request import urlopen

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

_TIMEOUT_S: Final = 10
UNREACHABLE: Final = 1
NONE: Final = "no decisions since this replica started; where several run, ask the one that leads"


def run(
    *,
    url: Annotated[
        str, typer.Option(help="The controller's metrics address, for example through `kubectl port-forward`.")
    ] = "http://127.0.0.1:8080",
    decision: Annotated[str, typer.Option("--id", help="Show this decision with everything that explains it.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print all of them as JSON.")] = False,
) -> None:
    """List what the running controller has decided, the latest last."""
    if not url.startswith(("http://", "https://")):
        typer.echo(f"error: {url} is not an http address", err=True)
        raise typer.Exit(UNREACHABLE)
    try:
        with urlopen(f"{url.rstrip('/')}/decisions", timeout=_TIMEOUT_S) as answer:  # noqa: S310 - checked above
            records: list[dict[str, Any]] = json.load(answer)
    except (URLError, HTTPException, OSError, ValueError) as error:
        typer.echo(f"error: no controller answers at {url}: {error}", err=True)
        raise typer.Exit(UNREACHABLE) from None
    if decision:
        records = [record for record in records if record["id"] == decision]
    if as_json or decision:
        typer.echo(json.dumps(records, indent=2))
    elif records:
        Console().print(_table(records))
    else:
        typer.echo(NONE)


def _table(records: list[dict[str, Any]]) -> Table:
    table = Table("at", "id", "kind", "summary", box=None)
    for record in records:
        table.add_row(record["at"][:19], record["id"], record["kind"], escape(record["summary"]))
    return table
