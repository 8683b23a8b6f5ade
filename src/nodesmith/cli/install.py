"""`nodesmith install`: everything that nodes need, in AWS and in the cluster; what is there is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import yaml

from nodesmith.cli import setting_up as common
from nodesmith.cli.reading import refuse
from nodesmith.cli.setting_up import FAILED, INTERRUPTED, Output, Place, Shown, agree, reached, stop_at_obstacles
from nodesmith.install.assemble import Site, Wishes, arriving_steps
from nodesmith.install.identity import Identity
from nodesmith.install.pools import Pool
from nodesmith.install.ready import wait_until_ready
from nodesmith.install.setup import Action, StepFailed, ensure, plan
from nodesmith.ports.errors import PortError

AGAIN: Final = "hint: run the same command again; it goes on where it stopped"


def run(
    cluster: common.ClusterName,
    *,
    identity: Annotated[Identity | None, typer.Option(help="How the controller gets its role; irsa at first.")] = None,
    pool: Annotated[Pool | None, typer.Option(help="What the first NodePool cares for; cheap at first.")] = None,
    image: Annotated[str, typer.Option(help="The controller's image, REPOSITORY[:TAG].")] = "",
    values: Annotated[Path | None, typer.Option(help="A file with more values for the chart.")] = None,
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
    timeout: Annotated[int, typer.Option(help="Seconds to wait until the controller is ready; 0: do not wait.")] = 300,
    yes: common.Yes = False,
    dry_run: common.DryRun = False,
    output: common.OutputForm = Output.TABLE,
) -> None:
    """Set everything up that nodes need, in AWS and in the cluster. Run it again at any time: what is there is kept."""
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
    wishes = Wishes(identity=identity, pool=pool, image=image, values=_read(values))
    shown = Shown(output)
    work = _install(place, wishes, shown, yes=yes, dry_run=dry_run, within=timedelta(seconds=timeout))
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


async def _install(place: Place, wishes: Wishes, shown: Shown, *, yes: bool, dry_run: bool, within: timedelta) -> None:
    async with reached(place) as site:
        steps = await arriving_steps(site, wishes)
        rows = await plan(steps)
        shown.plan(rows, f"Cluster {place.cluster} in {site.client.region}")
        stop_at_obstacles(shown, rows)
        is_done = all(row.action is Action.KEEP for row in rows)
        if dry_run:
            shown.document(rows, changed=False)
            return
        if is_done:
            shown.say("Nothing to do: everything is as it is wanted.")
        else:
            agree(shown, "Do it?", yes=yes)
            shown.start(len(steps))
            rows = await ensure(steps, shown)
        lacking = await _waited(site, shown, within)
        shown.stop()
        shown.document(rows, changed=not is_done, ready=None if lacking is None else not lacking, lacking=lacking or [])
        _tell_what_is_next(shown, place.cluster, lacking)


async def _waited(site: Site, shown: Shown, within: timedelta) -> list[str] | None:
    """What is not ready in the end; None when nobody waited."""
    if not within:
        return None
    stands = await wait_until_ready(site.cluster, site.clock, site.names.namespace, within=within, tell=shown.waits)
    return list(stands.lacking)


def _tell_what_is_next(shown: Shown, cluster: str, lacking: list[str] | None) -> None:
    if lacking:
        for each in lacking:
            typer.echo(f"error: {each}", err=True)
        typer.echo("\nhint: everything was set up; run the same command again to go on waiting", err=True)
        raise typer.Exit(FAILED)
    state = "Everything was set up." if lacking is None else "Ready: nodes come as soon as pods lack room."
    shown.say(f"""{state}

Next:
  kubectl create deployment hello --image=registry.k8s.io/pause:3.10 --replicas=10
  kubectl set resources deployment hello --requests=cpu=500m
  kubectl get nodeclaims -w                        # the nodes that come for it
  nodesmith doctor --cluster {cluster}             # every check of the set-up
  nodesmith uninstall --cluster {cluster}          # everything back, nodes first""")


def _read(path: Path | None) -> Mapping[str, Any]:
    if path is None:
        return {}
    try:
        stated = yaml.safe_load(path.read_text("utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        refuse([f"error: {path}: {error}"])
    if not isinstance(stated, Mapping):
        refuse([f"error: {path}: values are a mapping"])
    return stated
