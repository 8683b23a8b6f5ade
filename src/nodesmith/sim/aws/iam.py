"""IAM where moto's answers differ from AWS's."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from moto.core.responses import ActionResult
from moto.iam import urls as moto_urls
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.exceptions import NotFoundException
from moto.iam.models import AWSManagedPolicy, IAMBackend, ManagedPolicy
from moto.iam.responses import IamResponse

from nodesmith.sim.aws import world

if TYPE_CHECKING:
    from collections.abc import Iterable

SERVICE_LINKED: Final = {
    "spot.amazonaws.com": "AWSServiceRoleForEC2Spot",
    "spotfleet.amazonaws.com": "AWSServiceRoleForEC2SpotFleet",
    "ec2fleet.amazonaws.com": "AWSServiceRoleForEC2Fleet",
    "eks.amazonaws.com": "AWSServiceRoleForAmazonEKS",
    "eks-nodegroup.amazonaws.com": "AWSServiceRoleForAmazonEKSNodegroup",
}
PAGE: Final = 100
POLICIES: Final = (
    "AmazonEKS",
    "AmazonEC2ContainerRegistry",
    "AmazonSSM",
    "AmazonEBS",
    "AdministratorAccess",
    "CloudWatchAgent",
)


@cache
def _aws_policies() -> dict[str, Any]:
    policies: dict[str, Any] = json.loads(aws_managed_policies_data)
    return policies


class BoxIAMBackend(IAMBackend):
    """IAM of one account."""

    @property
    def _url_module(self) -> Any:
        class Urls:
            url_bases = moto_urls.url_bases
            url_paths = dict.fromkeys(moto_urls.url_paths, BoxIamResponse.dispatch)

        return Urls

    def _init_aws_policies(self) -> list[ManagedPolicy]:
        """AWS's own policies that a cluster's roles use; moto has none of them unless the environment says so."""
        if self.region_name != "aws":
            return []
        return [
            AWSManagedPolicy.from_data(name, self.account_id, self.region_name, content)
            for name, content in _aws_policies().items()
            if name.startswith(POLICIES)
        ]

    def create_service_linked_role(self, service_name: str, description: str, suffix: str) -> Any:
        """A role with the name that AWS gives it.

        Raises:
            InvalidInput: the role exists.
        """
        name = SERVICE_LINKED.get(service_name)
        if name is None:
            return super().create_service_linked_role(service_name, description, suffix)
        wanted = f"{name}_{suffix}" if suffix else name
        if any(role.name == wanted for role in self.roles.values()):
            message = f"Service role name {wanted} has been taken in this account, please try a different suffix."
            raise InvalidInput(message)
        role = super().create_service_linked_role(service_name, description, suffix)
        role.name = wanted
        return role

    def remove_role_from_instance_profile(self, profile_name: str, role_name: str) -> None:
        """Take the role out.

        Raises:
            NotFoundException: the profile does not have it.
        """
        profile = self.get_instance_profile(profile_name)
        if not any(role.name == role_name for role in profile.roles):
            raise NotFoundException(f"The role with name {role_name} cannot be found.")
        super().remove_role_from_instance_profile(profile_name, role_name)

    def create_instance_profile(self, name: str, path: str, role_names: list[str], tags: Any = None) -> Any:
        """A profile that says when it was made by the box's clock."""
        profile = super().create_instance_profile(name, path, role_names, tags)
        profile.create_date = world.current().now()
        return profile


class InvalidInput(NotFoundException):
    """IAM's refusal of a taken service-linked role name."""

    code = "InvalidInput"


class BoxIamResponse(IamResponse):
    """One request to IAM."""

    def list_instance_profiles(self) -> ActionResult:
        """Profiles under a path, a page at a time."""
        prefix = self._get_param("PathPrefix") or "/"
        found = sorted((p for p in self._profiles() if p.path.startswith(prefix)), key=lambda p: str(p.name))
        start, size = int(self._get_param("Marker") or 0), int(self._get_param("MaxItems") or PAGE)
        is_more = start + size < len(found)
        marker = str(start + size) if is_more else None
        page = found[start : start + size]
        return ActionResult({"InstanceProfiles": page, "IsTruncated": is_more, "Marker": marker})

    def list_instance_profile_tags(self) -> ActionResult:
        """A profile's tags."""
        profile = self.backend.get_instance_profile(self._get_param("InstanceProfileName"))
        return ActionResult({"Tags": profile.tags, "IsTruncated": False})

    def _profiles(self) -> Iterable[Any]:
        found: Iterable[Any] = self.backend.get_instance_profiles()
        return found
