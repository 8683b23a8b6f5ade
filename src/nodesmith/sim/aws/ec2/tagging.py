"""Tags on what exists, and images with what moto drops of them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError

from nodesmith.sim.aws import world
from nodesmith.sim.aws.ec2 import catalog
from nodesmith.sim.aws.ec2.base import BoxEC2Base
from nodesmith.sim.aws.ec2.reservations import tags_of

if TYPE_CHECKING:
    from collections.abc import Sequence

IMAGE_PAGE: Final = 1000


class TagAndImageResponses(BoxEC2Base):
    """The operations on tags and images; a part of `BoxEC2Response`."""

    def create_tags(self) -> ActionResult:
        """Tag what exists."""
        reserved = [tag["Key"] for tag in self.params.get("Tags") or () if tag["Key"].startswith("aws:")]
        if reserved:
            message = "Tag keys starting with 'aws:' are reserved for internal use"
            raise EC2ClientError("InvalidParameterValue", message)
        self._require(list(self.params.get("Resources") or ()))
        return super().create_tags()

    def delete_tags(self) -> ActionResult:
        """Remove tags from what exists."""
        self._require(list(self.params.get("Resources") or ()))
        return super().delete_tags()

    def _require(self, ids: Sequence[str]) -> None:
        instances = [i for i in ids if i.startswith("i-")]
        self.ec2_backend.require_instances(instances)
        self.hide_new(instances)

    def register_image(self) -> ActionResult:
        """An image of one's own, with what moto drops."""
        result: ActionResult = super().register_image()
        made: Any = result.result
        image = self.ec2_backend.amis[made["ImageId"]]
        image.architecture = self.params.get("Architecture") or "x86_64"
        image.root_device_name = self.params.get("RootDeviceName") or image.root_device_name
        image.virtualization_type = self.params.get("VirtualizationType") or "hvm"
        image.root_device_type = "ebs"
        image.creation_date = world.current().now()
        image.add_tags(tags_of(self.params.get("TagSpecifications"), "image"))
        return result

    def describe_images(self) -> ActionResult:
        """Images by id, owner or filter, a page at a time; the deprecated only where asked for."""
        self.error_on_dryrun()
        ids = self.params.get("ImageIds") or []
        found = self.ec2_backend.describe_images(
            ami_ids=ids,
            filters=self._filters_from_querystring(),
            exec_users=self.params.get("ExecutableUsers") or [],
            owners=self.params.get("Owners") or [],
        )
        now = world.current().now()
        is_all = bool(ids) or bool(self.params.get("IncludeDeprecated"))
        rows = [i for i in found if is_all or not _is_deprecated(i, now)]
        size = self.params.get("MaxResults")
        shown, following = catalog.page(rows, self.params.get("NextToken"), size, IMAGE_PAGE)
        return ActionResult({"Images": list(shown), "NextToken": following})

    def enable_image_deprecation(self) -> ActionResult:
        """Say when an image becomes deprecated."""
        self.error_on_dryrun()
        image = self.ec2_backend.amis.get(self.params["ImageId"])
        if image is None:
            raise EC2ClientError("InvalidAMIID.NotFound", f"The image id '[{self.params['ImageId']}]' does not exist")
        image.deprecation_time = datetime.fromisoformat(str(self.params["DeprecateAt"]))
        return self.answer({"Return": True})


def _is_deprecated(image: Any, now: datetime) -> bool:
    moment = getattr(image, "deprecation_time", None)
    return moment is not None and moment <= now
