"""Launch templates where moto's answers differ from EC2's."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.utils import parse_user_data

from nodesmith.sim.aws import world
from nodesmith.sim.aws.ec2 import catalog, filters, render
from nodesmith.sim.aws.ec2.base import BoxEC2Base
from nodesmith.sim.aws.ec2.reservations import tags_of

if TYPE_CHECKING:
    from moto.core.responses import ActionResult

TEMPLATE_PAGE: Final = 200
USER_DATA_LIMIT: Final = 16384
ABSENT: Final = "At least one of the launch templates specified in the request does not exist."


class LaunchTemplateResponses(BoxEC2Base):
    """The operations on launch templates; a part of `BoxEC2Response`."""

    def create_launch_template(self) -> ActionResult:
        """A template whose own tags stay its own: moto copies them into the template's data."""
        name = self.params["LaunchTemplateName"]
        data = dict(self.params.get("LaunchTemplateData") or {})
        user_data = parse_user_data(data.get("UserData"))
        if user_data is not None:
            data["UserData"] = user_data
        if len(str(data.get("UserData") or "")) * 3 // 4 > USER_DATA_LIMIT:
            raise EC2ClientError("InvalidUserData.Malformed", "User data is limited to 16384 bytes")
        self.error_on_dryrun()
        if name in self.ec2_backend.launch_template_name_to_ids:
            code = "InvalidLaunchTemplateName.AlreadyExistsException"
            raise EC2ClientError(code, "Launch template name already in use.")
        tags = tags_of(self.params.get("TagSpecifications"), "launch-template")
        description = self.params.get("VersionDescription")
        made = self.ec2_backend.create_launch_template(name, description, data, {"launch-template": tags})
        made.create_time = made.default_version().create_time = world.current().now()
        return self.answer({"LaunchTemplate": self._shown(made)})

    def describe_launch_templates(self) -> ActionResult:
        """Templates by name, id or filter, a page at a time."""
        self.error_on_dryrun()
        backend = self.ec2_backend
        names, ids = self.params.get("LaunchTemplateNames"), self.params.get("LaunchTemplateIds")
        if names:
            found = [self._named(name) for name in names]
            for template in found:
                self.require_seen(template)
        elif ids:
            found = [backend.get_launch_template(template_id) for template_id in ids]
        else:
            found = sorted(backend.launch_templates.values(), key=lambda t: t.id)
        wanted = self.filters
        rows = [t for t in found if filters.matches(wanted, backend.tags.get(t.id, {}), partial(_values, t))]
        size = self.params.get("MaxResults")
        shown, following = catalog.page(rows, self.params.get("NextToken"), size, TEMPLATE_PAGE)
        return self.answer({"LaunchTemplates": [self._shown(t) for t in shown], "NextToken": following})

    def delete_launch_template(self) -> ActionResult:
        """Remove a template; a missing one is an error with EC2's own code."""
        self.error_on_dryrun()
        name, template_id = self.params.get("LaunchTemplateName"), self.params.get("LaunchTemplateId")
        template = self._named(name) if name else self.ec2_backend.get_launch_template(template_id)
        shown = self._shown(template)
        self.ec2_backend.delete_launch_template(template.name, template.id)
        self.ec2_backend.tags.pop(template.id, None)
        return self.answer({"LaunchTemplate": shown})

    def require_seen(self, template: Any) -> None:
        """Raise where the fault for what is new hides the template.

        Raises:
            EC2ClientError: it does.
        """
        if self.is_hidden(template.id):
            raise EC2ClientError("InvalidLaunchTemplateName.NotFoundException", ABSENT)

    def _named(self, name: str) -> Any:
        template_id = self.ec2_backend.launch_template_name_to_ids.get(name)
        if template_id is None:
            raise EC2ClientError("InvalidLaunchTemplateName.NotFoundException", ABSENT)
        return self.ec2_backend.get_launch_template(template_id)

    def _shown(self, template: Any) -> dict[str, Any]:
        return {
            "CreateTime": template.create_time,
            "CreatedBy": f"arn:aws:iam::{self.current_account}:root",
            "DefaultVersionNumber": template.default_version_number,
            "LatestVersionNumber": template.latest_version_number,
            "LaunchTemplateId": template.id,
            "LaunchTemplateName": template.name,
            "Tags": render.tag_list(self.ec2_backend.tags.get(template.id, {})),
        }


def _values(template: Any, name: str) -> tuple[str, ...] | None:
    match name:
        case "launch-template-name":
            return (template.name,)
        case "create-time":
            return (template.create_time.isoformat(),)
        case _:
            return None
