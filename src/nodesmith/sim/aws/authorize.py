"""Permissions against the box's own IAM: who calls, what his policies are, whether they allow what a call needs.

A key that IAM has not issued is the account's owner, who may do everything: tests and the demo's user have any key.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from moto.iam.access_control import CreateAccessKeyFailure, create_access_key
from moto.iam.exceptions import NotFoundException
from moto.iam.models import ManagedPolicy, iam_backends
from moto.sqs.models import sqs_backends

from nodesmith.adapters.aws import policy
from nodesmith.sim.aws import permissions
from nodesmith.sim.aws.ec2.backend import backend_of
from nodesmith.sim.aws.journal import Authorization

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nodesmith.sim.aws.wire import Call

PARTITION: Final = "aws"
SPOT_SERVICE: Final = "spot.amazonaws.com"
SPOT_ROLE: Final = "AWSServiceRoleForEC2Spot"


class _Things:
    """The account as the permissions see it, read from moto's backends."""

    def __init__(self, account: str) -> None:
        self._account = account

    def tags(self, region: str, resource_id: str) -> Mapping[str, str] | None:
        backend = backend_of(region, self._account)
        tags: Mapping[str, str] = backend.tags.get(resource_id, {})
        kind = resource_id.split("-", maxsplit=1)[0]
        stores: Mapping[str, Any] = {
            "i": backend.instances_by_id,
            "lt": backend.launch_templates,
            "vol": backend.volumes,
            "eni": backend.enis,
            "ami": backend.amis,
        }
        store = stores.get(kind)
        return None if store is not None and resource_id not in store else dict(tags)

    def template(self, region: str, wanted: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
        backend = backend_of(region, self._account)
        found = wanted.get("LaunchTemplateId") or backend.launch_template_name_to_ids.get(
            wanted.get("LaunchTemplateName", "")
        )
        if found not in backend.launch_templates:
            return None
        template = backend.launch_templates[found]
        return found, template.get_version(wanted.get("Version") or "$Default").data

    def profile(self, name: str) -> tuple[str, Mapping[str, str]] | None:
        found = self._iam.instance_profiles.get(name)
        return None if found is None else (found.path, permissions.tag_map(found.tags))

    def profile_role(self, wanted: Mapping[str, Any]) -> str | None:
        name = wanted.get("Name") or str(wanted.get("Arn") or "").rpartition("/")[2]
        found = self._iam.instance_profiles.get(name)
        return str(found.roles[0].arn) if found is not None and found.roles else None

    def role_path(self, name: str) -> str:
        return next((str(role.path) for role in self._iam.roles.values() if role.name == name), "/")

    def queue_tags(self, region: str, name: str) -> Mapping[str, str]:
        queue = sqs_backends[self._account][region].queues.get(name)
        return dict(queue.tags or {}) if queue is not None else {}

    @property
    def _iam(self) -> Any:
        return iam_backends[self._account][PARTITION]


def needed(call: Call, account: str) -> tuple[Authorization, ...]:
    """The permissions that a call needs in the account as it is."""
    return permissions.needed(call, account, _Things(account))


def caller(call: Call, account: str) -> str:
    """The ARN of who calls."""
    key = _key(call, account)
    return f"arn:aws:iam::{account}:root" if key is None else str(key.arn)


def denial(call: Call, needs: tuple[Authorization, ...], account: str) -> str | None:
    """Why a call is refused, or None where it is allowed."""
    key = _key(call, account)
    if key is None:
        return None
    statements = tuple(s for document in _documents(key) for s in policy.parse(document))
    for need in needs:
        verdict = policy.evaluate(statements, need.action, need.resource, need.context)
        if not verdict.is_allowed:
            why = (
                "with an explicit deny in an identity-based policy"
                if verdict.decision is policy.Decision.EXPLICIT_DENY
                else f"because no identity-based policy allows the {need.action} action"
            )
            said = "You are not authorized to perform this operation. " if call.service == "ec2" else ""
            return (
                f"{said}User: {key.arn} is not authorized to perform: {need.action} on resource: {need.resource} {why}"
            )
    return None


def is_spot_role_refused(call: Call, account: str) -> bool:
    """Whether the account lacks the Spot role and the caller may not make it; makes it where he may."""
    iam: Any = iam_backends[account][PARTITION]
    if any(role.name == SPOT_ROLE for role in iam.roles.values()):
        return False
    resource = f"arn:aws:iam::{account}:role/aws-service-role/{SPOT_SERVICE}/{SPOT_ROLE}"
    need = Authorization("iam:CreateServiceLinkedRole", resource, {"iam:AWSServiceName": SPOT_SERVICE})
    if denial(call, (need,), account) is not None:
        return True
    iam.create_service_linked_role(SPOT_SERVICE, "Default EC2 Spot Service Linked Role", "")
    return False


def _key(call: Call, account: str) -> Any | None:
    if call.access_key is None:
        return None
    headers = {"X-Amz-Security-Token": call.session_token} if call.session_token else {}
    try:
        return create_access_key(account, PARTITION, call.access_key, headers)
    except CreateAccessKeyFailure:
        return None


def _documents(key: Any) -> list[str]:
    """Policy documents of a user or a role; a role that is gone has none."""
    try:
        collected = key.collect_policies()
    except NotFoundException:
        return []
    return [_document(entry) for entry in collected]


def _document(entry: Any) -> str:
    """The policy's text; moto hands out managed policies, inline ones of users, and inline ones of roles as text."""
    found: object = entry
    if isinstance(entry, ManagedPolicy):
        found = next(version for version in entry.versions if version.is_default).document
    elif isinstance(entry, dict):
        found = entry["policy_document"]
    text = found if isinstance(found, str) else json.dumps(found)
    return unquote(text) if text.startswith("%7B") else text
