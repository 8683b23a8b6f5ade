"""EKS add-ons, as far as setting up asks for them: made, told and taken away; nothing runs in any of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from moto.core.responses import ActionResult
from moto.eks.exceptions import ResourceInUseException, ResourceNotFoundException

from nodesmith.sim.aws import world

if TYPE_CHECKING:
    from collections.abc import Mapping

PATHS: Final = ("addons$", "addons/(?P<addonName>[^/]+)$")


class Addons:
    """The add-ons of all clusters of one account in one region."""

    def __init__(self) -> None:
        self._installed: dict[tuple[str, str], dict[str, Any]] = {}

    def create(self, cluster: str, given: Mapping[str, Any], *, prefix: str) -> ActionResult:
        """One more add-on, active at once.

        Raises:
            ResourceInUseException: the cluster has it.
        """
        name = str(given["addonName"])
        if (cluster, name) in self._installed:
            message = "Addon already exists."
            raise ResourceInUseException(clusterName=cluster, nodegroupName=None, addonName=name, message=message)
        now = world.current().now()
        addon = self._installed[cluster, name] = {
            "addonName": name,
            "clusterName": cluster,
            "status": "ACTIVE",
            "addonVersion": given.get("addonVersion") or "v1.0.0-eksbuild.1",
            "addonArn": f"{prefix}:addon/{cluster}/{name}/1",
            "tags": given.get("tags") or {},
            "createdAt": now,
            "modifiedAt": now,
        }
        return ActionResult({"addon": addon})

    def describe(self, cluster: str, name: str) -> ActionResult:
        """One add-on.

        Raises:
            ResourceNotFoundException: the cluster does not have it.
        """
        return ActionResult({"addon": self._found(cluster, name)})

    def listed(self, cluster: str) -> ActionResult:
        """The names of a cluster's add-ons."""
        return ActionResult({"addons": sorted(name for owner, name in self._installed if owner == cluster)})

    def delete(self, cluster: str, name: str) -> ActionResult:
        """The add-on is gone.

        Raises:
            ResourceNotFoundException: the cluster does not have it.
        """
        addon = self._found(cluster, name)
        del self._installed[cluster, name]
        return ActionResult({"addon": {**addon, "status": "DELETING"}})

    def forget(self, cluster: str) -> None:
        """The cluster is gone, and its add-ons with it."""
        self._installed = {key: addon for key, addon in self._installed.items() if key[0] != cluster}

    def _found(self, cluster: str, name: str) -> dict[str, Any]:
        found = self._installed.get((cluster, name))
        if found is None:
            message = f"No addon: {name} found in cluster: {cluster}"
            raise ResourceNotFoundException(
                clusterName=cluster, nodegroupName=None, fargateProfileName=None, addonName=name, message=message
            )
        return found
