"""What the controller will ask AWS for, as requests to evaluate: one for each action of the policies that it needs.

The policies themselves say which resources and tags go with an action, so a request is made from each of their
statements: whoever is allowed all of them is allowed what the controller does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from nodesmith.adapters.aws.policy import Statement, evaluate
from nodesmith.install.doctor.awsfacts import Document
from nodesmith.install.doctor.trust import statements_of, texts
from nodesmith.install.names import Names
from nodesmith.install.policies import controller_policies

ZONAL_SHIFT: Final = "arc-zonal-shift:GetManagedResource"
_SAMPLES: Final = {
    "instance-profile": "karpenter/{region}/{cluster}/6f0c/{cluster}_1234567890",
    "image": "ami-0123456789abcdef0",
    "snapshot": "snap-0123456789abcdef0",
    "subnet": "subnet-0123456789abcdef0",
    "security-group": "sg-0123456789abcdef0",
    "launch-template": "lt-0123456789abcdef0",
    "instance": "i-0123456789abcdef0",
    "parameter": "aws/service/eks/optimized-ami/{version}/amazon-linux-2023/arm64/standard/recommended/image_id",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """One thing that the controller asks for: the action on a resource, with the request's context."""

    action: str
    resource: str
    context: Mapping[str, str | Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Setting:
    """What the wishes depend on; an empty queue is one that the controller is not told of."""

    names: Names
    version: str
    queue_arn: str = ""
    node_roles: tuple[str, ...] = ()
    """ARNs of the roles that EC2NodeClasses name."""
    follows_zonal_shift: bool = False


def wishes(setting: Setting) -> tuple[Wish, ...]:
    """Everything that the controller asks for, each once."""
    names = setting.names
    found: dict[str, Wish] = {}
    for document in controller_policies(names).values():
        for statement in statements_of(document):
            for wish in _of_statement(statement, setting):
                found.setdefault(repr(wish), wish)
    return tuple(found.values())


def allowed(wish: Wish, statements: Sequence[Statement]) -> bool:
    """Whether the statements allow it."""
    return evaluate(statements, wish.action, wish.resource, wish.context).is_allowed


def _of_statement(statement: Mapping[str, Any], setting: Setting) -> Iterator[Wish]:
    context = _context(statement.get("Condition") or {}, setting.names)
    for action in texts(statement["Action"]):
        if action == ZONAL_SHIFT and not setting.follows_zonal_shift:
            continue
        for pattern in texts(statement["Resource"]):
            for resource in _resources(pattern, setting):
                yield Wish(action, resource, context)


def _resources(pattern: str, setting: Setting) -> Iterator[str]:
    """Resources that a pattern stands for: what the controller was really given, else one that could be."""
    names = setting.names
    if pattern == names.queue_arn:
        yield from [setting.queue_arn] if setting.queue_arn else ()
    elif pattern == names.role_arn(names.node_role):
        yield from setting.node_roles or (pattern,)
    elif pattern == "*":
        yield pattern
    else:
        yield _sample(pattern, setting)


def _sample(pattern: str, setting: Setting) -> str:
    names = setting.names
    *head, last = pattern.split(":", 5)
    if "*" not in pattern:
        return pattern
    kind = last.partition("/")[0]
    name = _SAMPLES.get(kind, "*").format(region=names.region, cluster=names.cluster, version=setting.version)
    return ":".join([*(names.account if part == "*" else part for part in head), f"{kind}/{name}"])


def _context(conditions: Document, names: Names) -> dict[str, str | Sequence[str]]:
    """A context in which the conditions hold."""
    context: dict[str, str | Sequence[str]] = {"aws:RequestedRegion": names.region}
    for operator, keys in conditions.items():
        for key, values in keys.items():
            listed = texts(values)
            context[key] = list(listed) if operator.startswith("ForA") else listed[0].replace("*", "default")
    # EC2 knows a resource's tags by two names, and a policy may use either.
    tags = {key: value for key, value in context.items() if key.startswith("aws:ResourceTag/")}
    return context | {f"ec2{key.removeprefix('aws')}": value for key, value in tags.items()}
