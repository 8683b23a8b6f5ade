"""docs/reference/aws.md: what the AWS side says, does and remembers, from the tables that the program itself uses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from nodesmith.adapters.aws import (
    batching,
    cluster,
    errors,
    imagesource,
    network,
    offers,
    pace,
    prices,
    profiles,
    subnets,
    templates,
    typestore,
    unavailable,
    validation,
    zonalshift,
)
from nodesmith.adapters.aws.cloud import REPAIR_POLICIES
from nodesmith.adapters.aws.conditions import CAUSES
from nodesmith.adapters.aws.kubelet import UNITS
from nodesmith.api.expressions import VARIABLES
from nodesmith.install.names import Names
from nodesmith.install.policies import controller_policies

KEPT: tuple[tuple[str, timedelta], ...] = (
    ("instance types and where they are offered", typestore.REFRESHED_EVERY),
    ("memory that a node of a type turned out to have", typestore.MEMORY_KNOWN_FOR),
    ("prices, spot and on demand", prices.REFRESHED_EVERY),
    ("capacity reservations, placement groups", network.TTL),
    ("free addresses of a subnet, between our own launches", subnets.BELIEVED_FOR),
    ("free instances of a capacity reservation, between our own launches", offers.RESERVATION_COUNT_TTL),
    ("the image that an alias means", imagesource.ALIAS_TTL),
    ("the image that a custom SSM parameter means", imagesource.CUSTOM_PARAMETER_TTL),
    ("an offering, subnet or capacity type that was refused", unavailable.REMEMBERED_FOR),
    ("that an instance profile is there", profiles.KNOWN_FOR),
    ("an instance profile that nothing uses, after it was made", profiles.PROTECTED_FOR),
    ("that an EC2NodeClass may be launched from", validation.KEPT_FOR),
    ("a launch template that no launch has needed", templates.KEPT_FOR),
    ("the cluster's version and endpoint", cluster.VERSION_TTL),
    ("zonal shifts", zonalshift.ASKED_EVERY),
)
WINDOWS: tuple[tuple[str, batching.Window], ...] = (
    ("CreateFleet", batching.CREATE_FLEET_WINDOW),
    ("DescribeInstances, TerminateInstances by id", batching.BY_ID_WINDOW),
    ("DescribeInstances by NodeClaim, before a launch", batching.ADOPT_WINDOW),
)
SORTED: tuple[tuple[str, frozenset[str], str], ...] = (
    ("throttled", errors.THROTTLED, "asked again after Retry-After or a growing pause; the API's rate is halved"),
    ("no answer", errors.SERVER_FAULTS, "asked again with the same token; so is every status from 500 up"),
    ("not there", errors.NOT_FOUND, "done, where it was to go; a reason to show, where it was to be used"),
    ("there already", errors.ALREADY_EXISTS, "adopted"),
    ("no capacity", errors.UNFULFILLABLE, "the offering is avoided for a while, the next is tried"),
)
HEAD = """\
# The AWS side

What nodesmith says, does and remembers on AWS. Generated from the tables that the program itself uses; do not edit.
"""


def outputs() -> Mapping[str, str]:
    """The page."""
    return {
        "docs/reference/aws.md": "\n".join(
            [HEAD, *_conditions(), *_errors(), *_memory(), *_kubelet(), *_identity(), *_compared()]
        )
    }


def _conditions() -> Iterable[str]:
    yield "## Conditions of an EC2NodeClass\n"
    rows = [(f"`{each.condition}`", f"`{each.reason}`", each.meaning, each.remedy) for each in CAUSES]
    yield _table(("condition", "reason", "what it means", "what to do"), rows)
    yield (
        "While AWS does not answer, a condition stays as it was, and what it is about too; it is `Unknown` only where "
        "nothing was known before.\n"
    )


def _errors() -> Iterable[str]:
    yield "## Errors of AWS\n"
    yield _table(
        ("kind", "codes", "what nodesmith does"),
        [(kind, ", ".join(f"`{code}`" for code in sorted(codes)), step) for kind, codes, step in SORTED],
    )
    yield "Every other code is refused: asking again would not help, so a condition or an event shows it.\n"
    yield "A launch that fails for another reason than capacity leaves the NodeClaim with one of these reasons:\n"
    rows = [
        (f"`{reason}`", f"`{needle}`", sentence or "Not authorized")
        for needle, reason, sentence in errors.LAUNCH_REASONS
    ]
    yield _table(
        ("reason", "where AWS says", "sentence"), [*rows, ("`LaunchFailed`", "anything else", "Instance launch failed")]
    )


def _memory() -> Iterable[str]:
    yield "## How long answers are believed\n"
    yield _table(("what", "for"), [(what, _spoken(duration)) for what, duration in KEPT])
    yield (
        "Images, subnets, security groups: `--ami-refresh-interval`, `--subnet-refresh-interval` and "
        "`--security-group-refresh-interval`.\n"
    )
    yield "## Calls that share a request\n"
    rows = [
        (name, f"{window.idle / timedelta(milliseconds=1):.0f} ms", _spoken(window.longest), str(window.most))
        for name, window in WINDOWS
    ]
    yield _table(("call", "waits for more", "at most", "together"), rows)
    yield "## How often AWS is asked\n"
    budgets = [
        (f"`{name}`", f"{each.burst:.0f}", f"{each.per_second:.0f}") for name, each in sorted(pace.BUDGETS.items())
    ]
    default = ("every other", f"{pace.DEFAULT_BUDGET.burst:.0f}", f"{pace.DEFAULT_BUDGET.per_second:.0f}")
    yield _table(("operation", "at once", "a second after that"), [*budgets, default])
    yield "## What is off until it is asked for\n"
    yield (
        "`--feature-gates SpotToSpotConsolidation=true` lets spot nodes be replaced by cheaper spot nodes. "
        "`ReturnToSpot=true` has nodes that were bought on demand for want of spot replaced when spot is to be had "
        "again, in NodePools that consolidate `WhenEmpty` too; where the policy is another, consolidation does so "
        "without the gate. "
        "Failed status checks and scheduled events of instances are minded always. "
        "With `NodeRepair=true`, a node is replaced when one of its conditions stands so long:\n"
    )
    yield _table(
        ("condition", "status", "for"),
        [(f"`{each.condition_type}`", each.condition_status, _spoken(each.toleration)) for each in REPAIR_POLICIES],
    )


def _identity() -> Iterable[str]:
    yield "## Credentials\n"
    yield (
        "In this order: `AWS_ACCESS_KEY_ID` and its companions; a role for the service account "
        "(`AWS_ROLE_ARN`, `AWS_WEB_IDENTITY_TOKEN_FILE`); a profile (`AWS_PROFILE`); pod identity "
        "(`AWS_CONTAINER_CREDENTIALS_FULL_URI`). The instance metadata service is never asked. "
        "`AWS_ENDPOINT_URL` sends every call elsewhere.\n"
    )
    yield "## What the controller may do\n"
    names = Names(cluster="CLUSTER", account="ACCOUNT", region="REGION", issuer="")
    rows = [
        (f"`{statement['Sid']}`", _listed(statement["Action"]), _listed(statement["Resource"]), _conditioned(statement))
        for document in controller_policies(names).values()
        for statement in document["Statement"]
    ]
    yield _table(("statement", "actions", "on", "if"), rows)


def _kubelet() -> Iterable[str]:
    yield "## Settings of the kubelet\n"
    yield (
        "`spec.kubelet` of an EC2NodeClass takes every setting of `kubelet.config.k8s.io/v1beta1` but "
        "`registerWithTaints`. AL2023's nodes get them as they are; other families know twelve, and another one keeps "
        "the class from being ready. With `--aws-feature-gates=NodeClassCEL=true`, `maxPods` and the amounts of "
        "`kubeReserved` and `systemReserved` may be expressions, worked out for each instance type: "
        '`"min(110, max_pods)"`, `"max(60, vcpus * 30)"`. They may name these facts of a type:\n'
    )
    yield _table(("name", "type"), [(f"`{name}`", str(kind)) for name, kind in VARIABLES.items()])
    yield (
        "`max_pods` is what the type takes by itself in the expression of `maxPods`, and what came out of that in the "
        "others. There are `+ - * / %`, comparisons, `in`, `&& || !`, `? :`, `min` and `max` of two, `int`, `double`, "
        "`size`, and `startsWith`, `endsWith`, `contains`, `matches` of a text. A result is a number in these units:\n"
    )
    rows = [(f"`{name}`", f"`{unit}`" if unit else "", str(step)) for name, (step, unit) in UNITS.items()]
    yield _table(("amount of", "unit", "rounded up to a multiple of"), rows)


def _compared() -> Iterable[str]:
    yield "## What is compared with Karpenter\n"
    yield (
        "Instance types, user data, fleet requests and interruption messages are compared with recorded answers of "
        "Karpenter's AWS provider, each in a test of its own. All of the 1,412 types, the 47 variants of twelve of "
        "them, the 55 user data and the 42 messages come out the same. Mac types are among the 1,412: as they are "
        "neither x86_64 nor arm64, neither Karpenter nor nodesmith asks EC2 for them.\n"
    )


def _conditioned(statement: Mapping[str, object]) -> str:
    stated = statement.get("Condition")
    if not isinstance(stated, dict):
        return ""
    return "; ".join(
        f"`{key}` {operator} {_listed(value)}" for operator, keys in stated.items() for key, value in keys.items()
    )


def _listed(values: str | Sequence[str]) -> str:
    return ", ".join(f"`{each}`" for each in ([values] if isinstance(values, str) else values))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _spoken(duration: timedelta) -> str:
    for unit, length in (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("min", timedelta(minutes=1))):
        if duration >= length and not duration % length:
            return f"{duration // length} {unit}"
    seconds = duration.total_seconds()
    return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
