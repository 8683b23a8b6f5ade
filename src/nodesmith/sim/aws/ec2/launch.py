"""Making instances: checks that EC2 makes, the network and the disks, and the states that follow."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from moto.core.types import Base64EncodedString
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instances import Reservation
from moto.ec2.utils import filter_iam_instance_profiles, parse_user_data, random_reservation_id
from moto.iam.exceptions import NotFoundException
from moto.moto_api._internal import mock_random

from nodesmith.sim.aws import events, world
from nodesmith.sim.aws.ec2.instance import GONE, BoxInstance, LaunchSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT_VOLUME_GIB: Final = 20
RESERVED_ADDRESSES: Final = 4
USER_DATA_LIMIT: Final = 16384
REMEMBERED: Final = timedelta(hours=1)


def network_of(data: Mapping[str, Any], backend: Any) -> list[Any]:
    """The security groups of launch data.

    Raises:
        EC2ClientError: a group that does not exist.
    """
    nics = data.get("NetworkInterfaces") or []
    wanted = list(data.get("SecurityGroupIds") or [])
    for nic in nics:
        wanted.extend(group for group in nic.get("Groups") or [] if group not in wanted)
    groups = []
    for group_id in wanted:
        group = backend.get_security_group_from_id(group_id)
        if group is None:
            raise EC2ClientError("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
        groups.append(group)
    return groups


def profile_of(data: Mapping[str, Any], backend: Any) -> Any | None:
    """The instance profile of launch data, if it names one.

    Raises:
        EC2ClientError: the profile does not exist, or has no role.
    """
    wanted = data.get("IamInstanceProfile") or {}
    name, arn = wanted.get("Name"), wanted.get("Arn")
    if not name and not arn:
        return None
    try:
        profile = filter_iam_instance_profiles(backend.account_id, backend.partition, arn, name)
    except NotFoundException:
        profile = None
    if profile is None or world.current().hides(profile.name, profile.create_date):
        field, value = ("name", name) if name else ("arn", arn)
        raise EC2ClientError(
            "InvalidParameterValue",
            f"Value ({value}) for parameter iamInstanceProfile.{field} is invalid. "
            f"Invalid IAM Instance Profile {field}",
        )
    if not profile.roles:
        message = f"IAM Instance Profile '{profile.arn}' has no associated IAM Roles"
        raise EC2ClientError("InvalidParameterValue", message)
    return profile


def check(spec: LaunchSpec, backend: Any) -> None:
    """Refuse what EC2 refuses.

    Raises:
        EC2ClientError: image, architecture, network, profile or user data are not good.
    """
    image = backend.amis.get(spec.image_id)
    if image is None:
        raise EC2ClientError("InvalidAMIID.NotFound", f"The image id '[{spec.image_id}]' does not exist")
    architectures = backend.architectures_of(spec.instance_type)
    if image.architecture and image.architecture not in architectures:
        message = (
            f"The architecture '{','.join(architectures)}' of the specified instance type does not match "
            f"the architecture '{image.architecture}' of the specified AMI."
        )
        raise EC2ClientError("InvalidParameterValue", message)
    for group in spec.security_groups:
        if group.vpc_id != spec.subnet.vpc_id:
            message = f"Security group {group.id} and subnet {spec.subnet.id} belong to different networks."
            raise EC2ClientError("InvalidParameter", message)
    if len(str(spec.data.get("UserData") or "")) * 3 // 4 > USER_DATA_LIMIT:
        raise EC2ClientError("InvalidUserData.Malformed", "User data is limited to 16384 bytes")
    profile_of(spec.data, backend)


def launch(spec: LaunchSpec, backend: Any) -> BoxInstance:
    """Start one instance; it is pending until the box's clock says otherwise."""
    profile = profile_of(spec.data, backend)
    nics = _nics(spec)
    made: Any = BoxInstance  # moto's bases are abstract in the parts that CloudFormation would use
    instance: BoxInstance = made(backend, spec, user_data=_user_data(spec.data.get("UserData")), nics=nics)
    reservation = Reservation(reservation_id=random_reservation_id(), owner_id=backend.account_id)
    reservation.instances.append(instance)
    backend.add_instance(reservation, instance)
    for made, wanted in zip(instance.nics.values(), nics, strict=True):
        instance.nic_details[made.id] = wanted["Details"]
        made.add_tags(dict(spec.tags.get("network-interface", {})))
    instance.add_tags({**spec.tags.get("instance", {}), **_aws_tags(spec)})
    _volumes(instance, spec, backend)
    if spec.capacity_type == "spot":
        instance.spot_instance_request_id = "sir-" + mock_random.get_random_hex(8)
        backend.tags[instance.spot_instance_request_id].update(spec.tags.get("spot-instances-request", {}))
    if profile is not None:
        backend.associate_iam_instance_profile(instance.id, iam_instance_profile_arn=profile.arn)
    _tell(instance, "pending")
    box = world.current()
    box.after(box.timing.pending, lambda: _run(instance))
    return instance


def _user_data(value: Any) -> Any:
    """User data in moto's form; a template has it in that form already."""
    return value if isinstance(value, Base64EncodedString) else parse_user_data(value)


def _aws_tags(spec: LaunchSpec) -> dict[str, str]:
    tags = {}
    if spec.template:
        tags = {"aws:ec2launchtemplate:id": spec.template[0], "aws:ec2launchtemplate:version": spec.template[1]}
    if spec.fleet_id:
        tags["aws:ec2:fleet-id"] = spec.fleet_id
    return tags


def _nics(spec: LaunchSpec) -> list[dict[str, Any]]:
    """The interfaces in moto's form; it knows them by one index, EC2 by card and device."""
    wanted = spec.data.get("NetworkInterfaces") or [{"DeviceIndex": 0}]
    nics: list[dict[str, Any]] = []
    for index, nic in enumerate(wanted):
        made: dict[str, Any] = {
            "DeviceIndex": index,
            "SubnetId": spec.subnet.id,
            "DeleteOnTermination": True,
            "Description": nic.get("Description"),
            "PrivateIpAddress": free_address(spec.subnet, [other["PrivateIpAddress"] for other in nics]),
            "Details": nic,
        }
        if "AssociatePublicIpAddress" in nic:
            made["AssociatePublicIpAddress"] = nic["AssociatePublicIpAddress"]
        nics.append(made)
    return nics


def free_address(subnet: Any, promised: Sequence[str] = ()) -> str:
    """An address of the subnet that nobody has, the same for the same request.

    Raises:
        EC2ClientError: the subnet is full.
    """
    network = ipaddress.ip_network(subnet.cidr_block)
    size = network.num_addresses - RESERVED_ADDRESSES - 1
    start = mock_random.randrange(size)
    taken = {eni.private_ip_address for eni in subnet.ec2_backend.enis.values() if eni.subnet.id == subnet.id}
    taken.update(promised)
    for step in range(size):
        address = str(network.network_address + RESERVED_ADDRESSES + (start + step) % size)
        if address not in taken:
            return address
    raise EC2ClientError(
        "InsufficientFreeAddressesInSubnet", f"There are not enough free addresses in subnet '{subnet.id}' to satisfy"
    )


def _volumes(instance: BoxInstance, spec: LaunchSpec, backend: Any) -> None:
    mappings = [m for m in spec.data.get("BlockDeviceMappings") or [] if "Ebs" in m]
    names = {mapping["DeviceName"] for mapping in mappings}
    if instance.root_device_name not in names:
        mappings = [{"DeviceName": instance.root_device_name, "Ebs": {"DeleteOnTermination": True}}, *mappings]
    for mapping in mappings:
        ebs = mapping["Ebs"]
        encrypted = bool(ebs.get("Encrypted"))
        volume = backend.create_volume(
            size=ebs.get("VolumeSize") or DEFAULT_VOLUME_GIB,
            zone_name=instance.availability_zone,
            encrypted=encrypted,
            kms_key_id=(ebs.get("KmsKeyId") or "alias/aws/ebs") if encrypted else None,
            volume_type=ebs.get("VolumeType") or "gp3",
            iops=ebs.get("Iops"),
            throughput=ebs.get("Throughput"),
        )
        backend.attach_volume(volume.id, instance.id, mapping["DeviceName"], ebs.get("DeleteOnTermination", True))
        volume.add_tags(dict(spec.tags.get("volume", {})))


def terminate(instance: BoxInstance, backend: Any, *, code: str, message: str) -> str:
    """Begin to end an instance; the state before. What is ending already is left alone."""
    before = str(instance.state)
    if before in GONE:
        return before
    instance.enter("shutting-down")
    instance.give_reason(code, message)
    _tell(instance, "shutting-down")
    box = world.current()
    box.after(box.timing.shutting_down, lambda: _end(instance, backend))
    return before


def stop(instance: BoxInstance) -> str:
    """Begin to stop an instance; the state before."""
    before = str(instance.state)
    if before not in {"pending", "running"}:
        return before
    instance.enter("stopping")
    _tell(instance, "stopping")
    box = world.current()
    box.after(box.timing.stopping, lambda: _stopped(instance))
    return before


def _run(instance: BoxInstance) -> None:
    if instance.state == "pending":
        instance.enter("running")
        _tell(instance, "running")


def _stopped(instance: BoxInstance) -> None:
    if instance.state == "stopping":
        instance.enter("stopped")
        _tell(instance, "stopped")


def _end(instance: BoxInstance, backend: Any) -> None:
    """Free what the instance held, and forget it an hour later, as EC2 does."""
    reason, state_reason = instance._reason, instance.state_reason  # noqa: SLF001 - moto's own field, set again below
    instance.terminate()
    instance._reason, instance.state_reason = reason, state_reason  # noqa: SLF001 - moto says "now" by the wall
    instance.enter("terminated")
    box = world.current()
    instance.ended_at = box.now()
    backend.release_reservation(instance)
    box.health.pop(instance.id, None)
    _tell(instance, "terminated")
    box.after(REMEMBERED, lambda: backend.forget_instance(instance))


def _tell(instance: BoxInstance, state: str) -> None:
    backend = instance.ec2_backend
    events.emit(
        backend.account_id,
        backend.region_name,
        "aws.ec2",
        "EC2 Instance State-change Notification",
        {"instance-id": instance.id, "state": state},
        [f"arn:{backend.partition}:ec2:{backend.region_name}:{backend.account_id}:instance/{instance.id}"],
    )
