"""Tags and annotations that nobody reads, because they are misspelt or name something else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from nodesmith.api.likeness import slip_of
from nodesmith.install.doctor.awsfacts import Subnet
from nodesmith.install.doctor.check import Check, Group, Verdict, advised, judged
from nodesmith.install.doctor.facts import Facts
from nodesmith.install.doctor.seen import need
from nodesmith.install.names import DISCOVERY

INTERNAL_ELB: Final = "kubernetes.io/role/internal-elb"
_EXTERNAL_ELB: Final = "kubernetes.io/role/elb"


def _own_subnets(facts: Facts) -> tuple[Subnet, ...]:
    """The subnets that EKS has for the cluster."""
    return tuple(each for each in need(facts.network.subnets) if each.id in facts.eks.subnets)


def _keys(facts: Facts) -> set[str]:
    """Tag keys that selectors look for, besides the usual ones."""
    subnets = [term.tags for each in facts.node_classes for term in each.spec.subnet_selector_terms]
    groups = [term.tags for each in facts.node_classes for term in each.spec.security_group_selector_terms]
    return {key for tags in (*subnets, *groups) for key in tags if "/" in key} | {DISCOVERY}


def _slips(thing: str, tags: Mapping[str, str], known: set[str]) -> Iterator[str]:
    for key in sorted(tags):
        meant = slip_of(key, known)
        if meant is not None:
            yield f"{thing} has the tag {key}: did you mean `{meant}`?"


def _wrong_value(thing: str, tags: Mapping[str, str], facts: Facts) -> Iterator[str]:
    """A discovery tag that is no cluster's; clusters that share a VPC may well have names that are alike."""
    stated = tags.get(DISCOVERY)
    known = {facts.cluster_name, *need(facts.account.clusters)}
    if stated is not None and stated not in known and slip_of(stated, {facts.cluster_name}):
        yield f"{thing} has {DISCOVERY}={stated}: did you mean `{facts.cluster_name}`?"


def _subnet_tags(facts: Facts) -> Verdict:
    problems: list[str] = []
    for each in need(facts.network.subnets):
        problems += _slips(each.id, each.tags, _keys(facts))
        problems += _wrong_value(each.id, each.tags, facts)
    return judged(problems, otherwise="no subnet's tag is misspelt")


def _group_tags(facts: Facts) -> Verdict:
    problems: list[str] = []
    for each in need(facts.network.groups):
        problems += _slips(each.id, each.tags, _keys(facts))
        problems += _wrong_value(each.id, each.tags, facts)
    return judged(problems, otherwise="no security group's tag is misspelt")


def _balancer_tags(facts: Facts) -> Verdict:
    problems = [
        told
        for each in need(facts.network.subnets)
        for told in _slips(each.id, each.tags, {INTERNAL_ELB, _EXTERNAL_ELB})
    ]
    return advised(problems, otherwise="the tags for load balancers are spelt right")


def _untagged(facts: Facts) -> Verdict:
    own = _own_subnets(facts)
    bare = [each.id for each in own if each.tags.get(DISCOVERY) != facts.cluster_name]
    if len(bare) == len(own):
        told = [f"none of the cluster's subnets has {DISCOVERY}={facts.cluster_name}"] if _is_by_tag(facts) else []
        return judged(told, otherwise="selectors do not look at the tag")
    return advised(
        [f"{each} has no tag {DISCOVERY}={facts.cluster_name}" for each in bare] if _is_by_tag(facts) else [],
        otherwise="every subnet of the cluster that is looked for has the tag",
    )


def _is_by_tag(facts: Facts) -> bool:
    return any(DISCOVERY in term.tags for each in facts.node_classes for term in each.spec.subnet_selector_terms)


TAGS: Final = Group(
    "Tags",
    (
        Check(
            "ND321",
            "Subnet tags that selectors look for are spelt right",
            "A selector finds only what is spelt letter for letter the same.",
            "Correct the tag: `aws ec2 create-tags --resources SUBNET --tags Key=KEY,Value=VALUE`.",
            _subnet_tags,
        ),
        Check(
            "ND322",
            "Security group tags that selectors look for are spelt right",
            "A selector finds only what is spelt letter for letter the same.",
            "Correct the tag: `aws ec2 create-tags --resources GROUP --tags Key=KEY,Value=VALUE`.",
            _group_tags,
        ),
        Check(
            "ND323",
            "Subnet tags for load balancers are spelt right",
            "`kubernetes.io/role/interna-elb` looks right and is not: the load balancer controller finds no subnet.",
            f"Spell it {INTERNAL_ELB} (value 1).",
            _balancer_tags,
        ),
        Check(
            "ND324",
            "The cluster's subnets have the discovery tag",
            "Subnets without it get no nodes.",
            "Run `nodesmith install`, or tag them; leave those bare that are not for nodes.",
            _untagged,
        ),
    ),
)
