"""`nodesmith doctor`: everything that can be wrong with a set-up, each a numbered check with cause and cure."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final

import boto3
import typer
from botocore.exceptions import BotoCoreError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nodesmith.adapters.aws.blocking import Threads
from nodesmith.adapters.aws.client import AwsClient, SessionClients
from nodesmith.adapters.clock import RealClock
from nodesmith.adapters.kubernetes.cluster import KubernetesCluster
from nodesmith.adapters.kubernetes.kubeconfig import Connection, KubeconfigError, default_paths, load
from nodesmith.adapters.kubernetes.transport import Limits, Transport
from nodesmith.cli import setting_up as common
from nodesmith.cli.reading import refuse, wide_console
from nodesmith.cli.setting_up import FAILED, Output
from nodesmith.install.doctor.check import ORDER, Check, Finding, Outcome, examine, has_failed
from nodesmith.install.doctor.gather.gathering import gather
from nodesmith.install.doctor.gather.sources import Credentials, Sources
from nodesmith.install.doctor.table import GROUPS, UnknownCheckError, chosen
from nodesmith.settings import SettingsError
from nodesmith.settings import load as load_settings

_PATIENCE: Final = Limits(deadline_s=15.0, connect_s=5.0, attempts=2)
_STYLES: Final = {
    Outcome.FAILED: "bold red",
    Outcome.WARNING: "yellow",
    Outcome.UNSEEN: "magenta",
    Outcome.OK: "green",
    Outcome.NOT_APPLICABLE: "dim",
}


def run(
    *,
    cluster: common.ClusterName = "",
    region: common.Region = "",
    profile: common.Profile = "",
    endpoint_url: common.EndpointUrl = "",
    kubeconfig: common.Kubeconfig = None,
    context: common.Context = "",
    check: Annotated[
        list[str] | None, typer.Option("--check", help="Only the check of this number. May be given more than once.")
    ] = None,
    show_all: Annotated[bool, typer.Option("--all", help="Also show the checks that found nothing.")] = False,
    list_checks: Annotated[bool, typer.Option("--list", help="List the checks and look at nothing.")] = False,
    output: Annotated[Output, typer.Option("-o", "--output", help="How to print the findings.")] = Output.TABLE,
) -> None:
    """Look for everything that can be wrong with a set-up, change nothing, and say cause and cure of what is found.

    Exits with 1 when a check failed, with 2 when the question cannot be understood.
    """
    try:
        checks = chosen(check or ())
    except UnknownCheckError as error:
        refuse([f"error: {error}"])
    if list_checks:
        _print_list(checks, output)
        return
    if not cluster:
        refuse(["error: which cluster? say --cluster NAME"])
    place = _Place(cluster, _session(region, profile), endpoint_url, kubeconfig, context)
    console = wide_console()
    with console.status("looking") if output is Output.TABLE and console.is_terminal else nullcontext():
        findings = asyncio.run(_examined(place, checks))
    if output is Output.JSON:
        typer.echo(json.dumps(to_json(cluster, findings), indent=1, ensure_ascii=False))
    else:
        print_findings(console, findings, show_all=show_all or bool(check))
    if has_failed(findings):
        raise typer.Exit(FAILED)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where to look, as the user said it."""

    cluster: str
    session: boto3.session.Session
    endpoint_url: str
    kubeconfig: Path | None
    context: str

    @property
    def region(self) -> str:
        return self.session.region_name or ""


def _session(region: str, profile: str) -> boto3.session.Session:
    """The session to ask AWS with. Exits when it has no region, or there is no such profile."""
    try:
        session = boto3.session.Session(region_name=region or None, profile_name=profile or None)
    except BotoCoreError as error:
        refuse([f"error: {error}"])
    if not session.region_name:
        refuse(["error: no AWS region: say --region, or set AWS_REGION"])
    return session


async def _examined(place: _Place, checks: Sequence[Check]) -> list[Finding]:
    clock, threads = RealClock(), Threads()

    def client_of(session: boto3.session.Session) -> AwsClient:
        clients = SessionClients(session, endpoint_url=place.endpoint_url)
        return AwsClient(clients, region=place.region, clock=clock, run_blocking=threads)

    def as_somebody(given: Credentials) -> AwsClient:
        own = (given.access_key, given.secret_key, given.session_token)
        return client_of(boto3.session.Session(*own, region_name=place.region))

    connection, why = _connection(place)
    try:
        async with AsyncExitStack() as stack:
            kubernetes = None
            if connection is not None:
                transport = await stack.enter_async_context(Transport(connection, clock, _PATIENCE))
                kubernetes = KubernetesCluster(transport)
            sources = Sources(
                cluster_name=place.cluster,
                version=version("nodesmith"),
                aws=client_of(place.session),
                clock=clock,
                cluster=kubernetes,
                why_no_cluster=why,
                server=connection.server if connection is not None else "",
                tokens=kubernetes.token if kubernetes is not None else None,
                as_somebody=as_somebody,
                read_settings=settings_faults,
            )
            return examine(await gather(sources), checks)
    finally:
        threads.close()


def _connection(place: _Place) -> tuple[Connection | None, str]:
    """How to reach the API server, or why that is not known."""
    environment = dict(os.environ)  # noqa: TID251 - a composition root reads it, once
    paths = [place.kubeconfig] if place.kubeconfig else default_paths(environment)
    try:
        return load(paths, context=place.context), ""
    except KubeconfigError as error:
        return None, str(error)


def settings_faults(arguments: Sequence[str], environment: Mapping[str, str]) -> Sequence[str]:
    """What a controller that is started so would refuse."""
    try:
        load_settings(arguments, environment)
    except SettingsError as error:
        return error.faults
    return ()


def _print_list(checks: Sequence[Check], output: Output) -> None:
    if output is Output.JSON:
        rows = [{"check": each.number, "title": each.title, "cause": each.cause, "cure": each.cure} for each in checks]
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    wanted = {each.number for each in checks}
    for group in GROUPS:
        own = [each for each in group.checks if each.number in wanted]
        if own:
            typer.echo(group.title)
            for each in own:
                typer.echo(f"  {each.number}  {each.title}")


def print_findings(console: Console, findings: Sequence[Finding], *, show_all: bool) -> None:
    """The findings as a table, the worst first, and a line that sums them up."""
    shown = [each for each in findings if show_all or each.outcome in {Outcome.FAILED, Outcome.WARNING}]
    if shown:
        table = Table(show_lines=True)
        for title in ("check", "", "found", "cause and cure"):
            table.add_column(title, overflow="fold")
        for each in shown:
            table.add_row(each.check.number, _outcome(each), _found(each), _advice(each))
        console.print(table)
    unseen = [each for each in findings if each.outcome is Outcome.UNSEEN]
    if unseen and not show_all:
        console.print(f"could not look: {', '.join(each.check.number for each in unseen)} (--all says why)")
    console.print(summary(findings))


def _outcome(finding: Finding) -> Text:
    return Text(str(finding.outcome), style=_STYLES[finding.outcome])


def _found(finding: Finding) -> Text:
    return Text("\n".join((finding.check.title, *(f"- {each}" for each in finding.found))))


def _advice(finding: Finding) -> Text:
    return Text(f"{finding.check.cause}\n> {finding.cure}" if finding.cure else "")


def summary(findings: Sequence[Finding]) -> str:
    """How many checks said what."""
    counts = {outcome: sum(each.outcome is outcome for each in findings) for outcome in ORDER}
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)


def to_json(cluster: str, findings: Sequence[Finding]) -> dict[str, Any]:
    """The findings for programs."""
    return {
        "cluster": cluster,
        "healthy": not has_failed(findings),
        "findings": [
            {
                "check": each.check.number,
                "title": each.check.title,
                "outcome": str(each.outcome),
                "found": list(each.found),
                **({"cause": each.check.cause, "cure": each.cure} if each.cure else {}),
            }
            for each in findings
        ],
    }
