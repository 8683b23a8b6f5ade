"""What `install` and `uninstall` have in common: where they work, the table they ask about, the progress they show."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import boto3
import typer
from botocore.exceptions import BotoCoreError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

from nodesmith.adapters.aws.blocking import Threads
from nodesmith.adapters.aws.client import AwsClient, SessionClients
from nodesmith.adapters.clock import RealClock
from nodesmith.adapters.kubernetes.cluster import KubernetesCluster
from nodesmith.adapters.kubernetes.kubeconfig import Connection, KubeconfigError, default_paths, load
from nodesmith.adapters.kubernetes.transport import Transport
from nodesmith.cli.reading import BAD_INPUT, refuse, wide_console
from nodesmith.install.assemble import Site, in_use
from nodesmith.install.aws import names_of
from nodesmith.install.chart import shipped_chart
from nodesmith.install.helm import Helm, helm_program
from nodesmith.install.setup import Action, Row

FAILED: Final = 1
INTERRUPTED: Final = 130
_COLOURS: Final = {
    Action.CREATE: "green",
    Action.CHANGE: "yellow",
    Action.REMOVE: "red",
    Action.STOP: "bold red",
    Action.KEEP: "dim",
}


class Output(StrEnum):
    """How the plan and what came of it are printed."""

    TABLE = "table"
    JSON = "json"


ClusterName = Annotated[str, typer.Option("--cluster", help="The EKS cluster's name.")]
Region = Annotated[
    str,
    typer.Option(envvar="AWS_REGION", show_envvar=False, help="Its region; without it AWS_REGION or the profile's."),
]
Profile = Annotated[str, typer.Option(help="The AWS profile; without it the default credentials.")]
EndpointUrl = Annotated[str, typer.Option(help="Where AWS is, when not at AWS.")]
Kubeconfig = Annotated[Path | None, typer.Option(help="The kubeconfig; without it KUBECONFIG or ~/.kube/config.")]
Context = Annotated[str, typer.Option(help="The kubeconfig's context; without it the current one.")]
AnyServer = Annotated[bool, typer.Option("--any-server", help="The kubeconfig may name another address than EKS does.")]
Namespace = Annotated[str, typer.Option(help="The controller's namespace; where it is, or kube-system.")]
Chart = Annotated[Path | None, typer.Option(help="The chart; without it the one beside the program.")]
NodeRole = Annotated[str, typer.Option(help="The node role, if it is not to be called as usual.")]
ControllerRole = Annotated[str, typer.Option(help="The controller's role, if it is not to be called as usual.")]
Queue = Annotated[str, typer.Option(help="The interruption queue, if it is not to be called as usual.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan and change nothing.")]
OutputForm = Annotated[Output, typer.Option("-o", "--output", help="How to print the plan and what came of it.")]


@dataclass(frozen=True, slots=True)
class Place:
    """Where it is to be done, as the user said it."""

    cluster: str
    region: str
    profile: str
    endpoint_url: str
    kubeconfig: Path | None
    context: str
    any_server: bool
    namespace: str
    chart: Path | None
    node_role: str
    controller_role: str
    queue: str


@asynccontextmanager
async def reached(place: Place) -> AsyncIterator[Site]:
    """The account and the cluster, reached. Exits as for bad input when they are not named well.

    Raises:
        PortError: when they do not answer, or there is no such cluster.
    """
    environment = dict(os.environ)  # noqa: TID251 - a composition root reads it, once
    try:
        session = boto3.session.Session(profile_name=place.profile or None, region_name=place.region or None)
        paths = [place.kubeconfig] if place.kubeconfig else default_paths(environment)
        connection = load(paths, context=place.context)
    except (BotoCoreError, KubeconfigError) as error:
        refuse([f"error: {error}"])
    if not session.region_name:
        refuse(["error: no AWS region: say --region, or set AWS_REGION"])
    threads, clock = Threads(), RealClock()
    clients = SessionClients(session, endpoint_url=place.endpoint_url)
    client = AwsClient(clients, region=session.region_name, clock=clock, run_blocking=threads)
    try:
        async with Transport(connection, clock) as transport:
            names, network = await names_of(client, place.cluster)
            await _check_server(client, place, connection)
            cluster = KubernetesCluster(transport)
            named = replace(
                names,
                namespace=place.namespace,
                chosen_node_role=place.node_role,
                chosen_controller_role=place.controller_role,
                chosen_queue=place.queue,
            )
            helm = _helm(environment, paths, connection)
            chart = place.chart or shipped_chart()
            yield Site(client, cluster, clock, helm, chart, await in_use(cluster, named), network)
    finally:
        threads.close()


async def _check_server(client: AwsClient, place: Place, connection: Connection) -> None:
    """The kubeconfig of another cluster is the worst mistake there is to make here."""
    cluster = (await client.call("eks", "DescribeCluster", name=place.cluster))["cluster"]
    if cluster["status"] not in {"ACTIVE", "UPDATING"}:
        refuse([f"error: cluster {place.cluster} is {cluster['status']}: wait until it is ACTIVE"])
    endpoint = str(cluster.get("endpoint") or "")
    if place.any_server or connection.server.rstrip("/").lower() == endpoint.rstrip("/").lower():
        return
    told = f"error: the kubeconfig's context {connection.context} is of {connection.server}, and {place.cluster} is at"
    cure = f"aws eks update-kubeconfig --name {place.cluster}, or --context; --any-server if that is a way to it"
    refuse([f"{told} {endpoint}\n\nhint: {cure}"])


def _helm(environment: Mapping[str, str], paths: Sequence[Path], connection: Connection) -> Helm | None:
    program = helm_program()
    if program is None:
        return None
    joined = os.pathsep.join(str(each) for each in paths)
    return Helm(program, {**environment, "KUBECONFIG": joined}, connection.context)


class Shown:
    """A plan and its execution, on the terminal or as JSON at the end."""

    def __init__(self, output: Output, console: Console | None = None) -> None:
        self.output = output
        self.console = console or (Console(stderr=True) if output is Output.JSON else wide_console())
        self._bar: Progress | None = None
        self._task: Any = None

    def plan(self, rows: Sequence[Row], title: str) -> None:
        """The table of what is to be done."""
        if self.output is Output.JSON:
            return
        table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
        for column in ("", "what", "name", "why"):
            table.add_column(column, overflow="fold")
        for row in rows:
            style = _COLOURS[row.action]
            table.add_row(f"[{style}]{row.action}[/]", row.step, _escaped(row.target), _escaped(row.reason))
        self.console.print(table)
        self.console.print(f"\n{counted(rows)}")

    def say(self, text: str) -> None:
        """A line, above the progress bar if there is one."""
        if self.output is not Output.JSON:
            (self._bar.console if self._bar else self.console).print(text, markup=False, highlight=False)

    def document(self, rows: Sequence[Row], **more: Any) -> None:
        """Everything as JSON, where that was asked for."""
        if self.output is Output.JSON:
            listed = [{"step": r.step, "target": r.target, "action": str(r.action), "reason": r.reason} for r in rows]
            typer.echo(json.dumps({"rows": listed, **more}, indent=1))

    def start(self, count: int) -> None:
        """So many steps begin."""
        columns = (SpinnerColumn(), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
        shows = self.console.is_terminal and self.output is not Output.JSON
        self._bar = Progress(*columns, console=self.console, transient=True, disable=not shows)
        self._task = self._bar.add_task("", total=count)
        self._bar.start()

    def begins(self, row: Row) -> None:
        """The row is being done."""
        if self._bar is not None:
            self._bar.update(self._task, description=_escaped(f"{row.step} {row.target}"))

    def ends(self, row: Row) -> None:
        """The row is done."""
        if self._bar is not None:
            self._bar.advance(self._task)
        if row.action is not Action.KEEP:
            self.say(f"{_DONE[row.action]:8} {row.step} {row.target}")

    def waits(self, what: str) -> None:
        """What is waited for."""
        if self._bar is not None:
            self._bar.update(self._task, description=_escaped(what))
        if not self.console.is_terminal:
            self.say(f"waiting: {what}")

    def stop(self) -> None:
        """No bar is shown any more."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


_DONE: Final = {
    Action.CREATE: "created",
    Action.CHANGE: "changed",
    Action.REMOVE: "removed",
    Action.KEEP: "kept",
    Action.STOP: "stopped",
}


def counted(rows: Sequence[Row]) -> str:
    """How many of each."""
    counts = {action: sum(1 for row in rows if row.action is action) for action in Action}
    return ", ".join(f"{count} to {action}" for action, count in counts.items() if count)


def stop_at_obstacles(shown: Shown, rows: Sequence[Row]) -> None:
    """Exit as for bad input when something is in the way; nothing has been changed then."""
    stops = [row for row in rows if row.action is Action.STOP]
    if stops:
        shown.document(rows, changed=False)
        for row in stops:
            typer.echo(f"error: {row.step} {row.target}: {row.reason}", err=True)
        typer.echo("\nNothing was changed.", err=True)
        raise typer.Exit(BAD_INPUT)


def agree(shown: Shown, question: str, *, yes: bool) -> None:
    """Exit when the user does not want it."""
    if yes:
        return
    if shown.output is Output.JSON:
        refuse(["error: -o json asks nothing: say --yes or --dry-run"])
    if not typer.confirm(question):
        typer.echo("Nothing was changed.")
        raise typer.Exit(FAILED)


def _escaped(text: str) -> str:
    return text.replace("[", "\\[")
