"""What every EC2 answer of the box stands on: parsed parameters in, XML that we write ourselves out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses import EC2Response
from moto.moto_api._internal import mock_random

from nodesmith.sim.aws import wire, world
from nodesmith.sim.aws.ec2 import filters

if TYPE_CHECKING:
    from nodesmith.sim.aws.ec2.backend import BoxEC2Backend


class Members(ActionResult):
    """An answer whose members are XML already."""

    def __init__(self, action: str, members: str) -> None:
        super().__init__(None)
        self._action = action
        self._members = members

    def execute_result(self, context: Any) -> Any:  # noqa: ARG002 - moto's signature
        """Status, headers and body, as moto wants them."""
        body = wire.ec2_envelope(self._action, self._members, str(mock_random.uuid4()))
        return 200, {"Content-Type": "text/xml;charset=UTF-8"}, body


class BoxEC2Base(EC2Response):
    """A request to EC2, parsed."""

    @property
    def box_backend(self) -> BoxEC2Backend:
        """Our backend, typed."""
        backend: BoxEC2Backend = self.ec2_backend
        return backend

    def parse_parameters(self, request: Any) -> None:
        """Take the parameters that the box has parsed already."""
        self.params = dict(request.environ["nodesmith.call"].params)

    def answer(self, result: dict[str, Any]) -> Members:
        """A result as an answer."""
        action = self._get_action()
        return Members(action, wire.ec2_members(action, result))

    @property
    def filters(self) -> dict[str, list[str]]:
        """The request's filters."""
        return filters.from_params(self.params.get("Filters"))

    def is_hidden(self, resource_id: str) -> bool:
        """Whether the fault for what is new hides a resource from this call."""
        return world.current().hides(resource_id, self.box_backend.made_at(resource_id))

    def hide_new(self, ids: list[str]) -> None:
        """Say that an instance does not exist where the fault for what is new has it so."""
        for resource_id in ids:
            if self.is_hidden(resource_id):
                message = f"The instance ID '{resource_id}' does not exist"
                raise EC2ClientError("InvalidInstanceID.NotFound", message)
