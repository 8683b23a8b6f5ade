"""moto's EC2 backend with instances that are found fast, images of EKS, reservations and placement groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.ec2 import urls as moto_urls
from moto.ec2.exceptions import EC2ClientError, InvalidInstanceIdError
from moto.ec2.models import EC2Backend
from moto.ec2.models.amis import Ami

from nodesmith.sim.aws import images, world
from nodesmith.sim.aws.ec2 import catalog, launch
from nodesmith.sim.aws.ec2.instance import GONE, BoxInstance
from nodesmith.sim.aws.ec2.reservations import PlacementGroup, Reservations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime


class PublicImage(Ami):
    """An image that AWS publishes, without the volume and snapshot that moto would make for it."""

    def __init__(self, backend: Any, image: images.Image) -> None:
        # moto's own constructor is left out on purpose: it makes a volume and a snapshot an image, 1 ms each.
        self.ec2_backend = backend
        self.id = image.id_in(backend.region_name)
        self.name = image.name
        self.state = "available"
        self.image_type = "machine"
        self.image_location = f"amazon/{image.name}"
        self.owner_id = image.owner
        self.owner_alias = "amazon"
        self.description = image.name
        self.virtualization_type = "hvm"
        self.architecture = image.architecture
        self.kernel_id = None
        self.platform = "windows" if image.is_windows else None
        self.hypervisor = "xen"
        self.root_device_name = image.root_device
        self.root_device_type = "ebs"
        self.sriov = "simple"
        self.creation_date = image.created
        self.product_codes = set()
        self.boot_mode = "uefi-preferred"
        self.instance_id = None
        self.launch_permissions = [{"Group": "all"}]

    @property
    def block_device_mappings(self) -> list[dict[str, Any]]:
        """The root volume of the image."""
        ebs = {
            "SnapshotId": "snap-" + self.id.removeprefix("ami-"),
            "VolumeSize": 20,
            "DeleteOnTermination": True,
            "VolumeType": "gp3",
            "Encrypted": False,
        }
        return [{"DeviceName": self.root_device_name, "Ebs": ebs}]


class BoxEC2Backend(EC2Backend):
    """EC2 of one account in one region."""

    def __init__(self, region_name: str, account_id: str) -> None:
        self.instances_by_id: dict[str, BoxInstance] = {}
        super().__init__(region_name, account_id)
        self.tokens: dict[str, tuple[str, Any]] = {}
        """Client token -> (what was asked, what came of it)."""
        self.capacity_reservations = Reservations(account_id)
        self.placement_groups: dict[str, PlacementGroup] = {}

    def _load_amis(self) -> None:
        """EKS's images in place of moto's 1,286 others, which take a second to build."""
        for image in images.published():
            made = PublicImage(self, image)
            self.amis[made.id] = made

    @property
    def _url_module(self) -> Any:
        """Where requests go: moto derives it from the backend's module name."""
        from nodesmith.sim.aws.ec2.responses import BoxEC2Response  # noqa: PLC0415 - the two know each other

        class Urls:
            url_bases = moto_urls.url_bases
            url_paths = {"{0}/": BoxEC2Response.dispatch}  # noqa: RUF012 - moto's form

        return Urls

    # --- instances ---

    def describe_images(
        self,
        ami_ids: list[str] | None = None,
        filters: dict[str, Any] | None = None,
        exec_users: list[str] | None = None,
        owners: list[str] | None = None,
    ) -> list[Ami]:
        """The images; moto asks for one by a filter with each instance, for which it need not look at all of them."""
        if filters is not None and filters.keys() == {"image-id"} and isinstance(filters["image-id"], str):
            found = self.amis.get(filters["image-id"])
            return [found] if found is not None else []
        images: list[Ami] = super().describe_images(ami_ids, filters, exec_users, owners)
        return images

    def add_instance(self, reservation: Any, instance: BoxInstance) -> None:
        """Remember an instance under its id and in moto's list of reservations."""
        self.reservations[reservation.id] = reservation
        instance.reservation = reservation
        self.instances_by_id[instance.id] = instance

    def forget_instance(self, instance: BoxInstance) -> None:
        """Drop an instance that has been terminated for long enough."""
        self.instances_by_id.pop(instance.id, None)
        self.reservations.pop(instance.reservation.id, None)
        self.tags.pop(instance.id, None)

    def get_instance(self, instance_id: str) -> BoxInstance:
        """The instance.

        Raises:
            InvalidInstanceIdError: there is none.
        """
        found = self.instances_by_id.get(instance_id)
        if found is None:
            raise InvalidInstanceIdError(instance_id)
        return found

    def get_instance_by_id(self, instance_id: str) -> BoxInstance | None:
        """The instance, or None."""
        return self.instances_by_id.get(instance_id)

    def get_multi_instances_by_id(self, instance_ids: list[str], filters: Any = None) -> list[Any]:
        """The instances, in the order asked for.

        Raises:
            InvalidInstanceIdError: with every id that does not exist.
        """
        missing = [i for i in instance_ids if i not in self.instances_by_id]
        if missing:
            raise InvalidInstanceIdError(missing)
        return [self.instances_by_id[i] for i in instance_ids if self.instances_by_id[i].applies(filters)]

    def living_instances(self) -> list[BoxInstance]:
        """Instances that are not on their way out."""
        return [i for i in self.instances_by_id.values() if i.state not in GONE]

    def terminate_instances(self, instance_ids: list[str]) -> list[tuple[Any, Any]]:
        """End instances as their owner; (instance, name of the state before) for each."""
        found = self.get_multi_instances_by_id(instance_ids)
        message = "Client.UserInitiatedShutdown"
        return [(i, launch.terminate(i, self, code=message, message="User initiated")) for i in dict.fromkeys(found)]

    def stop_instances(self, instance_ids: list[str]) -> list[tuple[Any, Any]]:
        """Stop instances; (instance, name of the state before) for each."""
        return [(i, launch.stop(i)) for i in self.get_multi_instances_by_id(instance_ids)]

    def release_reservation(self, instance: BoxInstance) -> None:
        """Give reserved capacity back."""
        self.capacity_reservations.release(instance)

    # --- lookups ---

    def architectures_of(self, instance_type: str) -> tuple[str, ...]:
        """What a type can boot."""
        return catalog.architectures(instance_type)

    def subnet_or_none(self, subnet_id: str | None) -> Any | None:
        """The subnet, or None."""
        return next((zone[subnet_id] for zone in self.subnets.values() if subnet_id in zone), None)

    def default_subnet_in(self, zone: str | None) -> Any | None:
        """The default subnet of a zone, or of the first zone."""
        found = [s for zone_subnets in self.subnets.values() for s in zone_subnets.values() if s.default_for_az]
        return next(
            (s for s in sorted(found, key=lambda s: s.availability_zone) if zone in {None, s.availability_zone}), None
        )

    def describe_tags(self, filters: Any = None) -> list[dict[str, str]]:
        """Tags; the common question, one resource's, without a walk over all of them."""
        ids: list[str] = (filters or {}).get("resource-id") or []
        if not ids or set(filters) != {"resource-id"} or any("*" in i for i in ids):
            return super().describe_tags(filters)
        empty = [{"resource_id": i, "key": "", "value": "", "resource_type": ""} for i in ids]
        return [
            {**row, "key": key, "value": value, "resource_type": _kind(row["resource_id"])}
            for row in empty
            for key, value in self.tags.get(row["resource_id"], {}).items()
        ]

    def template_of(self, specification: Mapping[str, Any]) -> tuple[Any, Any]:
        """The launch template and its version that a request names.

        Raises:
            EC2ClientError: no such template or version.
        """
        template_id, name = specification.get("LaunchTemplateId"), specification.get("LaunchTemplateName", "")
        template = self.get_launch_template(template_id) if template_id else self.get_launch_template_by_name(name)
        return template, template.get_version(specification.get("Version") or "$Default")

    def require_instances(self, ids: Sequence[str]) -> None:
        """Raise as EC2 does where an instance does not exist.

        Raises:
            EC2ClientError: an id that is unknown.
        """
        missing = [i for i in ids if i.startswith("i-") and i not in self.instances_by_id]
        if missing:
            raise EC2ClientError("InvalidInstanceID.NotFound", f"The instance ID '{missing[0]}' does not exist")

    def remembered(self, token: str | None, params: Mapping[str, Any], make: Callable[[], Any]) -> Any:
        """What came of the first request with a client token; made now where there is none.

        Raises:
            EC2ClientError: the token was used for something else.
        """
        if not token:
            return make()
        asked = repr(sorted((k, v) for k, v in params.items() if k != "ClientToken"))
        if token not in self.tokens:
            self.tokens[token] = (asked, make())
        before, result = self.tokens[token]
        if before != asked:
            message = "The same client token was used with different parameters."
            raise EC2ClientError("IdempotentParameterMismatch", message)
        return result

    def made_at(self, resource_id: str) -> datetime | None:
        """When an instance or a launch template was made, for the fault that hides what is new."""
        instance, template = self.instances_by_id.get(resource_id), self.launch_templates.get(resource_id)
        if instance is not None:
            return instance.launch_time
        return template.create_time if template is not None else None


def _kind(resource_id: str) -> str:
    prefix = resource_id.split("-", maxsplit=1)[0]
    return {
        "i": "instance",
        "lt": "launch-template",
        "subnet": "subnet",
        "sg": "security-group",
        "vol": "volume",
        "eni": "network-interface",
        "vpc": "vpc",
        "ami": "image",
        "fleet": "fleet",
    }.get(prefix, prefix)


def backend_of(region: str, account: str = world.ACCOUNT) -> BoxEC2Backend:
    """The box's EC2 in a region."""
    from moto.ec2.models import ec2_backends  # noqa: PLC0415 - set up by the box first

    found = ec2_backends[account][region]
    if not isinstance(found, BoxEC2Backend):
        raise TypeError(type(found))
    return found
