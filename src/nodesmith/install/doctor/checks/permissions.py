"""Whether the controller may do what it does: by its policies as they stand, and by trying without doing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from nodesmith.adapters.aws.errors import DRY_RUN_PASSED, UNAUTHORIZED
from nodesmith.adapters.aws.policy import PolicyError, Statement, parse
from nodesmith.install.doctor.awsfacts import Document, Role
from nodesmith.install.doctor.check import Check, Group, Verdict, advised, failed, judged, not_applicable, ok
from nodesmith.install.doctor.facts import Facts
from nodesmith.install.doctor.requests import Setting, Wish, allowed, wishes
from nodesmith.install.doctor.seen import NotSeenError, need

_LISTED: Final = 12
_FOREIGN: Final = {
    "ec2:RunInstances": ("instance/*", "launch with any tags: nothing tells its instances from others'"),
    "ec2:CreateTags": ("instance/i-0123456789abcdef0", "tag instances of others, and so make them its own"),
    "ec2:TerminateInstances": ("instance/i-0123456789abcdef0", "end instances of others"),
    "ec2:DeleteLaunchTemplate": ("launch-template/lt-0123456789abcdef0", "delete launch templates of others"),
}
"""What a controller must not be allowed on things without its tags, and what it could do if it were."""


def _role(facts: Facts) -> Role:
    role = need(facts.identity.controller_role)
    if role is None:
        raise NotSeenError("the controller's role is not there")
    return role


def _statements(documents: Mapping[str, Document]) -> tuple[Statement, ...]:
    """All statements of the policies.

    Raises:
        NotSeenError: when one of them cannot be evaluated.
    """
    try:
        return tuple(each for name, document in documents.items() for each in parse(document, name=name))
    except PolicyError as error:
        raise NotSeenError(f"a policy cannot be evaluated: {error}") from error


def _setting(facts: Facts) -> Setting:
    names, controller = facts.names, facts.controller
    environment = {} if controller is None else controller.environment
    told = environment.get("INTERRUPTION_QUEUE", "")
    queue = names.queue_arn if controller is None else f"{names.queue_arn.rpartition(':')[0]}:{told}" if told else ""
    roles = {each.spec.role.rpartition("/")[2] for each in facts.node_classes if each.spec.role}
    return Setting(
        names,
        facts.eks.version,
        queue_arn=queue,
        node_roles=tuple(_arn_of(facts, role) for role in sorted(roles)),
        follows_zonal_shift=environment.get("ENABLE_ZONAL_SHIFT", "").lower() == "true",
    )


def _arn_of(facts: Facts, name: str) -> str:
    """The role's ARN, with its path where the role was seen."""
    found = facts.identity.node_roles.get(name)
    return found.arn if isinstance(found, Role) else facts.names.role_arn(name)


def missing(wanted: Iterable[Wish], statements: Sequence[Statement]) -> list[str]:
    """What is not allowed: the actions, each with the resources that it is not allowed on."""
    refused: dict[str, list[str]] = defaultdict(list)
    for wish in wanted:
        if not allowed(wish, statements):
            refused[wish.action].append(wish.resource)
    told = [f"{action} on {', '.join(_short(each) for each in on)}" for action, on in sorted(refused.items())]
    return [*told[:_LISTED], f"and {len(told) - _LISTED} more actions"] if len(told) > _LISTED else told


def _short(resource: str) -> str:
    return resource.split(":", 5)[-1]


def _policies(facts: Facts) -> Verdict:
    role = _role(facts)
    refused = missing(wishes(_setting(facts)), _statements(role.documents))
    return judged(refused, otherwise=f"{role.name} is allowed every action that the controller needs")


def _boundary(facts: Facts) -> Verdict:
    role = _role(facts)
    if role.boundary is None:
        return not_applicable("the role has no permissions boundary")
    refused = missing(wishes(_setting(facts)), _statements({"boundary": role.boundary}))
    return judged(refused, otherwise="the boundary leaves all that the controller needs")


def _too_much(facts: Facts) -> Verdict:
    role, names = _role(facts), facts.names
    statements = _statements(role.documents)
    start = f"arn:{names.partition}:ec2:{names.region}:{names.account}:"
    context = {"aws:RequestedRegion": names.region}
    found = [
        f"{action} on {on}: it could {harm}"
        for action, (on, harm) in _FOREIGN.items()
        if allowed(Wish(action, start + on, context), statements)
    ]
    return advised(found, otherwise="what is not its own, it may not touch")


def _rehearsed(action: str) -> Check:
    def look(facts: Facts) -> Verdict:
        answer = next((each for each in need(facts.identity.rehearsals) if each.action == action), None)
        if answer is None:
            raise NotSeenError(f"{action} was not tried")
        if answer.code == DRY_RUN_PASSED:
            return ok(f"EC2 would do {action}")
        told = f"{action}: {answer.code}: {answer.message}"
        if answer.code == UNAUTHORIZED or "AccessDenied" in answer.code:
            return failed(told)
        raise NotSeenError(told)

    number = {"CreateLaunchTemplate": "ND124", "RunInstances": "ND125", "CreateFleet": "ND126"}[action]
    return Check(
        number,
        f"EC2 lets the controller do {action}",
        "Tried as a dry run with the controller's own credentials: all policies count, the organisation's too.",
        "Read AWS's words (`aws sts decode-authorization-message`); grant what ND121 lists.",
        look,
    )


PERMISSIONS: Final = Group(
    "The controller's permissions",
    (
        Check(
            "ND121",
            "The controller's policies allow all that it does",
            "The policy is older than the controller, was shortened, or is about another cluster, region or queue.",
            "Run `nodesmith install`, which brings the policies up to date; or grant the actions that are listed.",
            _policies,
        ),
        Check(
            "ND122",
            "The permissions boundary leaves them",
            "A boundary is the most that a role can be allowed, whatever its policies say.",
            "Let whoever owns the boundary add the actions that are listed.",
            _boundary,
        ),
        Check(
            "ND123",
            "The policies do not allow too much",
            "RunInstances, CreateTags, TerminateInstances or DeleteLaunchTemplate on `*` without a condition.",
            "Run `nodesmith install`: its policies are limited to what has the cluster's tags.",
            _too_much,
        ),
        _rehearsed("CreateLaunchTemplate"),
        _rehearsed("RunInstances"),
        _rehearsed("CreateFleet"),
    ),
)
