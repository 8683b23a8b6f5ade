"""Whether machines can be made: EC2NodeClasses, their images and options, and what the account allows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from nodesmith.adapters.aws.tags import restricted_tag
from nodesmith.api.ec2nodeclass import AMIS_READY, READY, EC2NodeClass
from nodesmith.install.doctor.awsfacts import Quota
from nodesmith.install.doctor.check import (
    Check,
    Group,
    Verdict,
    advised,
    failed,
    judged,
    not_applicable,
    ok,
    over,
    warning,
)
from nodesmith.install.doctor.facts import Facts
from nodesmith.install.doctor.seen import NotSeenError, Unseen, need
from nodesmith.model.labels import CAPACITY_TYPE, SPOT
from nodesmith.model.resources import CPU

_CORE: Final = 1000
_FULL: Final = 0.9


def _classes(facts: Facts) -> tuple[EC2NodeClass, ...]:
    if not facts.node_classes:
        raise NotSeenError("there is no EC2NodeClass")
    return facts.node_classes


def _exist(facts: Facts) -> Verdict:
    names = [each.name for each in facts.node_classes]
    return ok(", ".join(names)) if names else failed("there is no EC2NodeClass")


def _ready(facts: Facts) -> Verdict:
    problems = [told for each in _classes(facts) for told in _reasons(each)]
    return judged(problems, otherwise="every EC2NodeClass is ready")


def _reasons(node_class: EC2NodeClass) -> Iterator[str]:
    if node_class.is_ready:
        return
    start = f"EC2NodeClass {node_class.name}"
    if node_class.condition(READY) is None:
        yield f"{start} has no status: no controller has looked at it"
        return
    bad = [each for each in node_class.status.conditions.values() if not each.is_true and each.type != READY]
    for each in sorted(bad, key=lambda condition: condition.type):
        yield f"{start}: {each.type} is {each.status}: {each.reason}: {each.message}".rstrip(": ")
    if not bad:
        yield f"{start} is not Ready"


def _observed(facts: Facts) -> Verdict:
    stale = [
        f"EC2NodeClass {each.name} is at generation {each.meta.generation}, its status at {ready.observed_generation}"
        for each in _classes(facts)
        if (ready := each.condition(READY)) is not None
        and ready.observed_generation
        and ready.observed_generation != each.meta.generation
    ]
    return judged(stale, otherwise="the status of every EC2NodeClass is current")


def _images(facts: Facts) -> Verdict:
    problems = over(_classes(facts), lambda each: _no_image(facts, each))
    return judged(problems, otherwise="every EC2NodeClass finds images")


def _no_image(facts: Facts, node_class: EC2NodeClass) -> Iterator[str]:
    found = facts.network.found_images.get(node_class.name, Unseen("images were not looked for"))
    if not need(found):
        condition = node_class.condition(AMIS_READY)
        why = f": {condition.message}" if condition is not None and condition.is_false else ""
        wanted = node_class.alias or "amiSelectorTerms"
        yield f"EC2NodeClass {node_class.name}: {wanted} stands for no image on {facts.eks.version}{why}"


def _deprecated(facts: Facts) -> Verdict:
    problems = [
        f"EC2NodeClass {each.name}: {image.name or image.id} is deprecated"
        for each in _classes(facts)
        for image in each.status.amis
        if image.deprecated
    ]
    return advised(problems, otherwise="no image is deprecated")


def _metadata(facts: Facts) -> Verdict:
    problems = []
    for each in _classes(facts):
        stated = each.spec.metadata_options
        if stated.http_endpoint == "disabled":
            problems.append(f"EC2NodeClass {each.name}: httpEndpoint is disabled: a node cannot learn who it is")
        if stated.http_tokens == "optional":
            problems.append(f"EC2NodeClass {each.name}: httpTokens is optional: any request that leaks gives the role")
        if (stated.http_put_response_hop_limit or 1) > 1:
            limit = stated.http_put_response_hop_limit
            problems.append(f"EC2NodeClass {each.name}: httpPutResponseHopLimit is {limit}: pods have the node's role")
    return advised(problems, otherwise="only the node itself reaches its role")


def _tags(facts: Facts) -> Verdict:
    problems = [
        f"EC2NodeClass {each.name}: the tag {tag} is the controller's own"
        for each in _classes(facts)
        if (tag := restricted_tag(each.spec.tags)) is not None
    ]
    return judged(problems, otherwise="spec.tags has none of the controller's own")


def wants_spot(facts: Facts) -> bool:
    """Whether some NodePool may buy spot."""
    return any(each.requirements.get(CAPACITY_TYPE).allows(SPOT) for each in facts.pools)


def _spot_role(facts: Facts) -> Verdict:
    if not wants_spot(facts):
        return not_applicable("no NodePool buys spot")
    if need(facts.account.has_spot_role):
        return ok("AWSServiceRoleForEC2Spot is there")
    return failed("there is no role AWSServiceRoleForEC2Spot")


def _quotas(facts: Facts) -> Verdict:
    quotas = need(facts.account.quotas)
    full = [told for each in quotas if (told := _used_up(each))]
    if full:
        return failed(*full)
    limits = [each.limits[CPU] // _CORE for each in facts.pools if CPU in each.limits]
    wanted = sum(limits)
    small = [
        f"{each.name}: {each.limit} vCPUs; the NodePools' limits come to {wanted}"
        for each in quotas
        if wanted > each.limit
    ]
    return warning(*small) if small else ok("; ".join(f"{each.name}: {each.limit} vCPUs" for each in quotas))


def _used_up(quota: Quota) -> str:
    if quota.used is None or quota.used < _FULL * quota.limit:
        return ""
    return f"{quota.name}: {quota.used} of {quota.limit} vCPUs run"


NODE_CLASSES: Final = Group(
    "EC2NodeClasses",
    (
        Check(
            "ND601",
            "There is an EC2NodeClass",
            "It says how machines are made: subnets, security groups, image, role.",
            "Apply one: examples/ has some, `nodesmith install` makes a default one.",
            _exist,
        ),
        Check(
            "ND602",
            "EC2NodeClasses are ready",
            "What a selector means was not found, or the controller may not launch from it: the conditions say which.",
            "Put right what the condition says; ND121, ND201, ND301 and ND306 look at the usual causes.",
            _ready,
        ),
        Check(
            "ND603",
            "The controller has seen the EC2NodeClasses as they are",
            "The controller does not run, or does not get to them.",
            "Look at ND512 and at the controller's log.",
            _observed,
        ),
        Check(
            "ND604",
            "Images are found",
            "The alias has no images for this Kubernetes version, or the AMI was deleted, or is another region's.",
            "Use an alias such as al2023@latest; AL2 ends with Kubernetes 1.32.",
            _images,
        ),
        Check(
            "ND605",
            "Images are not deprecated",
            "The alias is pinned to an old version, or only old images match.",
            "Pin a newer version.",
            _deprecated,
        ),
        Check(
            "ND606",
            "The instance metadata service is for the node alone",
            "metadataOptions lets pods have the node's credentials, or keeps the node from its own.",
            "Leave metadataOptions out: tokens are required then, and travel one hop.",
            _metadata,
        ),
        Check(
            "ND607",
            "Tags are not the controller's own",
            "Instances are found by tags that the controller sets; who sets them for it has launches refused.",
            "Take the tag out of spec.tags.",
            _tags,
        ),
        Check(
            "ND608",
            "The account has the spot role",
            "The first spot instance of an account needs AWSServiceRoleForEC2Spot, which the controller may not make.",
            "`aws iam create-service-linked-role --aws-service-name spot.amazonaws.com`.",
            _spot_role,
        ),
        Check(
            "ND609",
            "Quotas of running vCPUs are high enough",
            "A new account may run a few vCPUs only: launches fail with VcpuLimitExceeded.",
            "Ask for more in Service Quotas, or lower the NodePools' limits.",
            _quotas,
        ),
    ),
)
