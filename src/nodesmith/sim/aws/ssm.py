"""SSM: the public parameters that point at EKS images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.ssm import urls as moto_urls
from moto.ssm.models import Parameter, SimpleSystemManagerBackend

from nodesmith.sim.aws import images, world

if TYPE_CHECKING:
    from datetime import datetime


class BoxSSMBackend(SimpleSystemManagerBackend):
    """SSM of one account in one region."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        for image in images.published():
            for name in image.parameters:
                self.put_public(name, image.id_in(region_name), image.created)

    @property
    def _url_module(self) -> Any:
        return moto_urls

    def put_public(self, name: str, value: str, moment: datetime | None = None) -> None:
        """A parameter under /aws/service, which users cannot write."""
        versions = self._parameters[name]
        made: Any = Parameter  # abstract in the parts that CloudFormation would use
        parameter = made(
            account_id=self.account_id,
            name=name,
            value=value,
            parameter_type="String",
            description=None,
            allowed_pattern=None,
            keyid=None,
            last_modified_date=moment or world.current().now(),
            version=len(versions) + 1,
            data_type="text",
        )
        versions.append(parameter)
