"""`nodesmith run`: the controller process, as the chart starts it. Flags and variables are Karpenter's."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Mapping
from typing import Final
from uuid import uuid4

import boto3
import typer

from nodesmith.adapters.aws.client import SessionClients
from nodesmith.adapters.aws.credentials import controller_session
from nodesmith.adapters.clock import RealClock
from nodesmith.adapters.kubernetes.kubeconfig import Connection, KubeconfigError, default_paths, in_cluster, load
from nodesmith.adapters.kubernetes.rival import identity_of
from nodesmith.adapters.telemetry.logs import Outputs, json_log
from nodesmith.app import Surroundings, run_controller
from nodesmith.ports.errors import PortError
from nodesmith.ports.log import Log
from nodesmith.settings import SETTINGS, Setting, Settings, SettingsError, flag_of, unheeded
from nodesmith.settings import load as load_settings

CONTEXT_SETTINGS: Final = {"allow_extra_args": True, "ignore_unknown_options": True}
"""The flags are the settings', not typer's."""


def _line(name: str, each: Setting) -> str:
    told = f"--{flag_of(name)} (required)" if each.is_required else f"--{flag_of(name)}={each.default_text}"
    return f"{told}: {each.about}" + ("" if each.is_heeded else " Read, without effect.")


EPILOG: Final = "\n\n".join(_line(name, each) for name, each in SETTINGS.items())
"""Every setting with its default, for `--help`: an empty line is a new line there."""

WRONG_SETTINGS: Final = 2
FAILED: Final = 1


def run(context: typer.Context) -> None:
    """Run the controller until SIGTERM. The flags are Karpenter's; each may be a variable too (BATCH_IDLE_DURATION)."""
    environment = dict(os.environ)  # noqa: TID251 - the composition root reads it, once
    try:
        settings = load_settings(context.args, environment)
        connection = in_cluster(environment) or load(default_paths(environment))
    except SettingsError as error:
        for fault in error.faults:
            typer.echo(f"error: {fault}", err=True)
        raise typer.Exit(WRONG_SETTINGS) from None
    except KubeconfigError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(WRONG_SETTINGS) from None
    # boto3 by itself reads AWS_DEFAULT_REGION only; Karpenter's SDK reads this one first.
    session = controller_session(region=environment.get("AWS_REGION", ""))
    if not session.region_name:
        typer.echo("error: no AWS region: set AWS_REGION", err=True)
        raise typer.Exit(WRONG_SETTINGS)
    try:
        log = json_log(Outputs(settings.log_output_paths), RealClock(), level=settings.log_level)
    except OSError as error:
        typer.echo(f"error: LOG_OUTPUT_PATHS: {error}", err=True)
        raise typer.Exit(WRONG_SETTINGS) from None
    around = _surroundings(settings, connection, session, environment, log)
    try:
        asyncio.run(_until_told_to_stop(around))
    except (PortError, RuntimeError, ExceptionGroup) as error:
        _tell(log, error)
        raise typer.Exit(FAILED) from None


def _surroundings(
    settings: Settings,
    connection: Connection,
    session: boto3.session.Session,
    environment: Mapping[str, str],
    log: Log,
) -> Surroundings:
    return Surroundings(
        settings=settings,
        connection=connection,
        clients=SessionClients(session),
        region=session.region_name or "",
        identity=identity_of(environment.get("HOSTNAME") or socket.gethostname(), str(uuid4())),
        log=log,
    )


async def _until_told_to_stop(around: Surroundings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    for name in unheeded(around.settings):
        around.log.warning("setting has no effect", setting=name)
    if not around.settings.ignore_dra_requests:
        around.log.warning("pods with resource claims stay pending all the same: only DaemonSets with them are counted")
    around.log.info("starting", cluster=around.settings.cluster_name, region=around.region)
    await run_controller(around, stop)
    around.log.info("stopped")


def _tell(log: Log, error: Exception) -> None:
    """One line for each thing that went wrong."""
    if isinstance(error, ExceptionGroup):
        for each in error.exceptions:
            _tell(log, each)
        return
    trace = None if isinstance(error, PortError) else error
    log.error("stopping on an error", error=f"{type(error).__name__}: {error}", exc_info=trace)
