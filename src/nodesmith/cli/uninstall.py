"""`nodesmith uninstall`: the nodes drained and gone, then what install made, the last first; nothing of others."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated, Final

import typer

from nodesmith.cli import setting_up as common
from nodesmith.cli.setting_up import FAILED, INTERRUPTED, Output, Place, Shown, agree, reached, stop_at_obstacles
from nodesmith.install.assemble import leaving_steps
from nodesmith.install.setup import Action, StepFailed, leaving_plan, undo
from nodesmith.ports.errors import PortError

AGAIN: Final = "hint: run the same command again; it goes on where it stopped"


def run(
    cluster: common.ClusterName,
    *,
    keep_nodes: Annotated[
        bool, typer.Option("--keep-nodes", help="Nodes stay as they are, with what they need; nobody looks after them.")
    ] = False,
    delete_pools: Annotated[
        bool, typer.Option("--delete-pools", help="NodePools and EC2NodeClasses that install did not make go as well.")
    ] = False,
    region: common.Region = "",
    profile: common.Profile = "",
    endpoint_url: common.EndpointUrl = "",
    kubeconfig: common.Kubeconfig = None,
    context: common.Context = "",
    any_server: common.AnyServer = False,
    namespace: common.Namespace = "",
    chart: common.Chart = None,
    node_role: common.NodeRole = "",
    controller_role: common.ControllerRole = "",
    queue: common.Queue = "",
    timeout: Annotated[int, typer.Option(help="Seconds to wait until all nodes are gone.")] = 1800,
    yes: common.Yes = False,
    dry_run: common.DryRun = False,
    output: common.OutputForm = Output.TABLE,
) -> None:
    """Take everything back that install made, nodes first. What it did not make stays."""
    place = Place(
        cluster=cluster,
        region=region,
        profile=profile,
        endpoint_url=endpoint_url,
        kubeconfig=kubeconfig,
        context=context,
        any_server=any_server,
        namespace=namespace,
        chart=chart,
        node_role=node_role,
        controller_role=controller_role,
        queue=queue,
    )
    shown = Shown(output)
    work = _uninstall(
        place,
        shown,
        yes=yes,
        dry_run=dry_run,
        keeps_nodes=keep_nodes,
        takes_pools=delete_pools,
        within=timedelta(seconds=timeout),
    )
    try:
        asyncio.run(work)
    except (PortError, StepFailed) as error:
        typer.echo(f"error: {error}\n\n{AGAIN}", err=True)
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt:
        typer.echo(f"interrupted\n\n{AGAIN}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    finally:
        shown.stop()


async def _uninstall(
    place: Place, shown: Shown, *, yes: bool, dry_run: bool, keeps_nodes: bool, takes_pools: bool, within: timedelta
) -> None:
    async with reached(place) as site:
        steps = await leaving_steps(
            site, keeps_nodes=keeps_nodes, takes_pools=takes_pools, within=within, tell=shown.waits
        )
        rows = await leaving_plan(steps)
        shown.plan(rows, f"Cluster {place.cluster} in {site.client.region}")
        stop_at_obstacles(shown, rows)
        is_done = all(row.action is Action.KEEP for row in rows)
        if dry_run or is_done:
            shown.document(rows, changed=False)
            if is_done:
                shown.say("Nothing to do: nothing is here that install made.")
            return
        agree(shown, "Take it back?", yes=yes)
        shown.start(len(steps))
        rows = await undo(steps, shown)
        shown.stop()
        shown.document(rows, changed=True)
        shown.say("Everything that install made is gone." if not keeps_nodes else "The nodes stay; all else is gone.")
