"""The controller in the cluster: a helm release of our chart.

The one thing to know: values that others gave stay. Ours are laid over them, and the mark of a release of ours is one
of its values, so that everything it makes carries it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

import nodesmith
from nodesmith.api.kind import Manifest
from nodesmith.api.kinds import DEPLOYMENT, NODE
from nodesmith.install.helm import DEPLOYED, Release, Releases
from nodesmith.install.names import MARK, Names
from nodesmith.install.objects import holds, is_marked, listed, marked, metadata
from nodesmith.install.setup import ABSENT, Finding
from nodesmith.model.labels import NODEPOOL
from nodesmith.ports.cluster import Cluster
from nodesmith.ports.errors import Refused

RELEASE: Final = "karpenter"
CHART: Final = "nodesmith"
ROLE_ANNOTATION: Final = "eks.amazonaws.com/role-arn"
APP: Final = "karpenter"
REQUESTS: Final = {"cpu": "250m", "memory": "512Mi"}
"""What the controller asks for where nobody says: enough for a thousand nodes (docs/reference/performance.md)."""
_PENDING: Final = "pending-"
_NO_HELM: Final = "helm is not on the PATH: install it (https://helm.sh/docs/intro/install) and run this again"

Document = dict[str, Any]


def shipped_chart() -> Path | None:
    """The chart beside the program, or None where the program was installed without it."""
    folder = Path(nodesmith.__file__).parents[2] / "charts" / CHART
    return folder if (folder / "Chart.yaml").is_file() else None


def chart_version(chart: Path) -> str:
    """Name and version, as releases tell them.

    Raises:
        Refused: when there is no chart.
    """
    try:
        stated = yaml.safe_load((chart / "Chart.yaml").read_text("utf-8"))
        return f"{stated['name']}-{stated['version']}"
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise Refused(f"no chart at {chart}: {error}") from error


def chart_values(names: Names, *, by_issuer: bool, image: str = "", more: Mapping[str, Any] | None = None) -> Document:
    """The values of a release of ours; `more` are the user's, which win."""
    role = names.role_arn(names.controller_role) if by_issuer else None
    values: Document = {
        "settings": {"clusterName": names.cluster, "interruptionQueue": names.queue},
        "serviceAccount": {"annotations": {ROLE_ANNOTATION: role}},
    }
    if image:
        repository, digest, tag = _image(image)
        values["controller"] = {"image": {"repository": repository, "tag": tag, "digest": digest}}
    return merged(values, more or {})


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> Document:
    """Values laid over others, as helm does it."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(value, Mapping) and isinstance(below, Mapping) else value
    return result


def written(values: Mapping[str, Any]) -> Document:
    """The values as helm gets them: an annotation that is not wanted is left out, as none can be null."""
    account = values.get("serviceAccount") or {}
    annotations = {key: value for key, value in (account.get("annotations") or {}).items() if value is not None}
    return {**values, "serviceAccount": {**account, "annotations": annotations}}


@dataclass(frozen=True, slots=True)
class Controller:
    """The release. `releases` is None where helm is not to be had."""

    cluster: Cluster
    releases: Releases | None
    names: Names
    chart: Path | None
    values: Mapping[str, Any]
    name: str = "controller"

    @property
    def target(self) -> str:
        """The release."""
        return f"helm release {self.names.namespace}/{RELEASE}"

    async def look(self) -> Finding:
        """Whether it is there, of this chart, with these values, and whether another controller is."""
        other = await self._other_controller()
        if other is not None:
            told = _two_controllers(other)
            return Finding(exists=True, obstacle=told, hold=told if is_marked(other, self.names.cluster) else "")
        if self.releases is None:
            return await self._without_helm()
        release = await self.releases.find(RELEASE, self.names.namespace)
        if self.chart is None:
            obstacle = "" if release else "the chart is not beside the program: say --chart PATH"
            return Finding(exists=release is not None, obstacle=obstacle, is_own=self._is_own(release))
        if release is None:
            return ABSENT
        return Finding(exists=True, differences=tuple(self._differences(release)), is_own=self._is_own(release))

    async def ensure(self) -> None:
        """The release is of this chart, with these values over those it had."""
        if self.releases is None or self.chart is None:
            raise Refused("helm and the chart are needed")
        release = await self.releases.find(RELEASE, self.names.namespace)
        if release is not None and release.status.startswith(_PENDING):
            await self.releases.recover(release)
            release = await self.releases.find(RELEASE, self.names.namespace)
        if release is None:
            values = merged(await self._first_values(), self.values)
        else:
            values = merged(release.values, self.values)
        await self.releases.upgrade(RELEASE, self.names.namespace, self.chart, written(values))

    async def undo(self) -> None:
        """The release is gone, if a step made it."""
        if self.releases is None:
            raise Refused(f"helm is needed: helm uninstall {RELEASE} --namespace {self.names.namespace}")
        if self._is_own(await self.releases.find(RELEASE, self.names.namespace)):
            await self.releases.uninstall(RELEASE, self.names.namespace)

    def _differences(self, release: Release) -> Iterator[str]:
        if release.status != DEPLOYED:
            yield f"it is {release.status}"
        if self.chart is not None and release.chart != (version := chart_version(self.chart)):
            yield f"{release.chart} runs, this is {version}"
        yield from (f"{path} differs" for path in _differing(release.values, self.values))

    def _is_own(self, release: Release | None) -> bool:
        marks = (release.values.get("additionalAnnotations") or {}) if release else {}
        return bool(marks.get(MARK) == self.names.cluster)

    async def _first_values(self) -> Document:
        """What is said once, at the beginning: the mark, what it needs, and two replicas where nodes can hold them."""
        values: Document = {
            "additionalAnnotations": marked(self.names.cluster),
            "controller": {"resources": {"requests": dict(REQUESTS)}},
        }
        return values if await homes(self.cluster) > 1 else {**values, "replicas": 1}

    async def _without_helm(self) -> Finding:
        ours = [each for each in await listed(self.cluster, DEPLOYMENT) if self._is_our_deployment(each)]
        if ours:
            return Finding(exists=True, note="there already; without helm its values are not compared", hold=_NO_HELM)
        return Finding(exists=False, obstacle=f"{_NO_HELM}; or run it where helm is: {self.command()}")

    def command(self) -> str:
        """What to run by hand."""
        values = " ".join(f"--set-string {shlex.quote(each)}" for each in _flat(self.values))
        chart = self.chart or "CHART"
        return f"helm upgrade --install {RELEASE} {chart} -n {self.names.namespace} --skip-crds {values}"

    def _is_our_deployment(self, deployment: Mapping[str, Any]) -> bool:
        return is_of_chart(deployment) and metadata(deployment).get("namespace") == self.names.namespace

    async def _other_controller(self) -> Manifest | None:
        """Another autoscaler of the same objects: the two would fight over every node."""
        for each in await listed(self.cluster, DEPLOYMENT):
            is_karpenter = (metadata(each).get("labels") or {}).get("app.kubernetes.io/name") == APP
            if is_karpenter and not self._is_our_deployment(each):
                return each
        return None


def is_of_chart(deployment: Mapping[str, Any]) -> bool:
    """Whether it was made by our chart."""
    chart: str = (metadata(deployment).get("labels") or {}).get("helm.sh/chart", "")
    return chart.startswith(f"{CHART}-")


def _two_controllers(other: Manifest) -> str:
    namespace = metadata(other).get("namespace")
    cure = f"helm uninstall {RELEASE} -n {namespace} (its nodes and NodePools stay)"
    if is_of_chart(other):
        cure = f"--namespace {namespace}, or {cure}"
    return f"another controller runs as {namespace}/{metadata(other)['name']}, and two must not: {cure}"


async def homes(cluster: Cluster) -> int:
    """Nodes that the controller may run on: those it did not make itself."""
    nodes = await listed(cluster, NODE)
    return sum(1 for each in nodes if NODEPOOL not in (metadata(each).get("labels") or {}))


def _differing(present: Any, wanted: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for key, value in wanted.items():
        here = f"{path}.{key}" if path else str(key)
        has = present.get(key) if isinstance(present, Mapping) else None
        if isinstance(value, Mapping) and isinstance(has, Mapping):
            yield from _differing(has, value, here)
        elif not holds(has, value):
            yield here


def _flat(values: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for key, value in values.items():
        here = f"{path}.{key.replace('.', chr(92) + '.')}" if path else key
        if isinstance(value, Mapping):
            yield from _flat(value, here)
        elif value is not None:
            yield f"{here}={value}"


def _image(image: str) -> tuple[str, str, str]:
    """Repository, digest and tag."""
    named, _, digest = image.partition("@")
    repository, colon, tag = named.rpartition(":")
    return (repository, digest, tag) if colon and "/" not in tag else (named, digest, "")
