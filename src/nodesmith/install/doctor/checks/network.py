"""Where nodes are put: subnets, their addresses and routes, and security groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.install.doctor.awsfacts import Permission, SecurityGroup, Subnet
from nodesmith.install.doctor.check import Check, Group, Verdict, advised, judged, ok, over, warning
from nodesmith.install.doctor.facts import Facts
from nodesmith.install.doctor.seen import NotSeenError, Seen, Unseen, need

KUBELET_PORT: Final = 10250
HTTPS: Final = 443
_FEW: Final = 16
_ANYWHERE: Final = frozenset({"0.0.0.0/0", "::/0"})
_NEEDED_ENDPOINTS: Final = ("ec2", "ecr.api", "ecr.dkr", "s3", "sts")
_ALL: Final = "-1"


def _found(by_class: Mapping[str, Seen[tuple[str, ...]]], node_class: EC2NodeClass) -> tuple[str, ...]:
    """What a NodeClass' selector finds.

    Raises:
        NotSeenError: when it was not looked at.
    """
    return need(by_class.get(node_class.name, Unseen(f"EC2NodeClass {node_class.name} was not looked at")))


def _classes(facts: Facts) -> tuple[EC2NodeClass, ...]:
    if not facts.node_classes:
        raise NotSeenError("there is no EC2NodeClass")
    return facts.node_classes


def node_subnets(facts: Facts) -> tuple[Subnet, ...]:
    """The subnets that some EC2NodeClass selects, by id.

    Raises:
        NotSeenError: when none is known.
    """
    chosen = over(_classes(facts), lambda each: _found(facts.network.found_subnets, each))
    subnets = tuple(each for each in need(facts.network.subnets) if each.id in chosen)
    if not subnets:
        raise NotSeenError("no EC2NodeClass finds a subnet of the cluster's VPC")
    return subnets


def _select_subnets(facts: Facts) -> Verdict:
    def finds_none(each: EC2NodeClass) -> Iterator[str]:
        if not _found(facts.network.found_subnets, each):
            terms = _terms(each.spec.subnet_selector_terms)
            yield f"the selector of EC2NodeClass {each.name} finds no subnet ({terms})"

    return judged(over(_classes(facts), finds_none), otherwise="every EC2NodeClass finds subnets")


def _select_groups(facts: Facts) -> Verdict:
    def finds_none(each: EC2NodeClass) -> Iterator[str]:
        if not _found(facts.network.found_groups, each):
            terms = _terms(each.spec.security_group_selector_terms)
            yield f"the selector of EC2NodeClass {each.name} finds no group ({terms})"

    return judged(over(_classes(facts), finds_none), otherwise="every EC2NodeClass finds security groups")


def _terms(terms: tuple[object, ...]) -> str:
    told = []
    for term in terms:
        tags = ", ".join(f"{key}={value}" for key, value in sorted(getattr(term, "tags", {}).items()))
        told.append(getattr(term, "id", "") or getattr(term, "name", "") or tags)
    return "; ".join(told)


def _same_vpc(facts: Facts) -> Verdict:
    """Only things of the cluster's VPC were read: what is found beyond them is elsewhere."""
    here = {each.id for each in need(facts.network.subnets)} | {each.id for each in need(facts.network.groups)}
    problems = [
        f"EC2NodeClass {each.name} selects {thing}, which is not in {facts.eks.vpc}"
        for each in _classes(facts)
        for thing in (*_seen_of(facts.network.found_subnets, each), *_seen_of(facts.network.found_groups, each))
        if thing not in here
    ]
    return judged(problems, otherwise=f"all is in {facts.eks.vpc}")


def _seen_of(by_class: Mapping[str, Seen[tuple[str, ...]]], node_class: EC2NodeClass) -> tuple[str, ...]:
    found = by_class.get(node_class.name, ())
    return () if isinstance(found, Unseen) else found


def _addresses(facts: Facts) -> Verdict:
    subnets = node_subnets(facts)
    empty = [f"{each.id} in {each.zone} has {each.free_addresses} free addresses" for each in subnets]
    listed = [told for told, each in zip(empty, subnets, strict=True) if each.free_addresses < _FEW]
    if not any(each.free_addresses for each in subnets):
        return judged(listed, otherwise="")
    return advised(listed, otherwise=f"{sum(each.free_addresses for each in subnets)} addresses are free")


def _zones(facts: Facts) -> Verdict:
    zones = sorted({each.zone for each in node_subnets(facts)})
    if len(zones) > 1:
        return ok(", ".join(zones))
    return warning(f"all subnets are in {zones[0]}")


def _default_route(subnet: Subnet) -> str:
    """Where traffic to anywhere goes; empty when it goes nowhere."""
    return next((each.target for each in subnet.routes if each.destination in _ANYWHERE and each.is_active), "")


def _routes(facts: Facts) -> Verdict:
    lacking = set(_NEEDED_ENDPOINTS) - set(need(facts.network.endpoints))
    problems = [
        f"{each.id} has no route out{_broken(each)}, and the VPC no endpoint for {', '.join(sorted(lacking))}"
        for each in node_subnets(facts)
        if not _default_route(each) and lacking
    ]
    return judged(problems, otherwise="every subnet has a way to AWS")


def _broken(subnet: Subnet) -> str:
    dead = next((each for each in subnet.routes if each.destination in _ANYWHERE and not each.is_active), None)
    return f" (that to {dead.target} is a black hole)" if dead is not None else ""


def _public(facts: Facts) -> Verdict:
    def unreachable(node_class: EC2NodeClass) -> Iterator[str]:
        stated = node_class.spec.associate_public_ip_address
        for subnet in node_subnets(facts):
            is_chosen = subnet.id in _found(facts.network.found_subnets, node_class)
            is_given = subnet.gives_public_addresses if stated is None else stated
            if is_chosen and not is_given and _default_route(subnet).startswith("igw-"):
                yield f"{subnet.id} goes out by an internet gateway, but instances get no public address"

    return judged(over(_classes(facts), unreachable), otherwise="instances have addresses for their way out")


def node_groups(facts: Facts, node_class: EC2NodeClass) -> tuple[SecurityGroup, ...]:
    """The groups that instances of an EC2NodeClass have."""
    chosen = _found(facts.network.found_groups, node_class)
    return tuple(each for each in need(facts.network.groups) if each.id in chosen)


def _over_groups(facts: Facts, holds: Callable[[Facts, tuple[SecurityGroup, ...]], bool], told: str) -> list[str]:
    """What is wrong with the groups of EC2NodeClasses for which something does not hold."""

    def wrong(node_class: EC2NodeClass) -> Iterator[str]:
        groups = node_groups(facts, node_class)
        if groups and not holds(facts, groups):
            yield f"EC2NodeClass {node_class.name}: {told.format(', '.join(each.id for each in groups))}"

    return over(_classes(facts), wrong)


def _lets_cluster_in(facts: Facts, groups: tuple[SecurityGroup, ...]) -> bool:
    """The control plane talks to kubelets from the cluster's own group, in the subnets that EKS has for it."""
    cluster = [each for each in need(facts.network.subnets) if each.id in facts.eks.subnets]
    comes = _Traffic(frozenset({facts.eks.cluster_group}), tuple(each.cidr for each in cluster), KUBELET_PORT)
    return any(comes.passes(each.inbound) for each in groups)


def _reaches_cluster(facts: Facts, groups: tuple[SecurityGroup, ...]) -> bool:
    """Nodes talk to the endpoint, whose interfaces are in the cluster's own group."""
    cluster = next((each for each in need(facts.network.groups) if each.id == facts.eks.cluster_group), None)
    if cluster is None:
        raise NotSeenError(f"the cluster's security group {facts.eks.cluster_group} was not seen")
    own = frozenset(each.id for each in groups)
    goes = _Traffic(own, tuple(each.cidr for each in node_subnets(facts)), HTTPS)
    return not facts.eks.is_private or goes.passes(cluster.inbound)


def _goes_out(_: Facts, groups: tuple[SecurityGroup, ...]) -> bool:
    return any(_is_open(permission, HTTPS) for each in groups for permission in each.outbound)


@dataclass(frozen=True, slots=True)
class _Traffic:
    """What comes from members of some groups, in some address ranges, to a port."""

    groups: frozenset[str]
    ranges: tuple[str, ...]
    port: int

    def passes(self, permissions: tuple[Permission, ...]) -> bool:
        """Whether it is let through; what a prefix list holds is not known, so it is given the benefit."""
        return any(_is_open(each, self.port) and any(map(self._is_from, each.sources)) for each in permissions)

    def _is_from(self, source: str) -> bool:
        if "/" not in source:
            return source in self.groups or source.startswith("pl-")
        wide = ip_network(source, strict=False)
        return bool(self.ranges) and all(_within(ip_network(each), wide) for each in self.ranges if each)


def _within(narrow: IPv4Network | IPv6Network, wide: IPv4Network | IPv6Network) -> bool:
    if isinstance(narrow, IPv4Network) and isinstance(wide, IPv4Network):
        return narrow.subnet_of(wide)
    return isinstance(narrow, IPv6Network) and isinstance(wide, IPv6Network) and narrow.subnet_of(wide)


def _is_open(permission: Permission, port: int) -> bool:
    return permission.protocol == _ALL or (
        permission.protocol == "tcp" and permission.first_port <= port <= permission.last_port
    )


def _admits_cluster(facts: Facts) -> Verdict:
    told = f"none of {{}} lets {facts.eks.cluster_group} (the control plane) in on port {KUBELET_PORT}"
    return judged(_over_groups(facts, _lets_cluster_in, told), otherwise="the control plane reaches kubelets")


def _admitted_by_cluster(facts: Facts) -> Verdict:
    told = f"{facts.eks.cluster_group} does not let {{}} in on port 443"
    return judged(_over_groups(facts, _reaches_cluster, told), otherwise="nodes reach the control plane")


def _outbound(facts: Facts) -> Verdict:
    told = "none of {} lets instances go out on port 443"
    return judged(_over_groups(facts, _goes_out, told), otherwise="instances may go out")


def _one_owner(facts: Facts) -> Verdict:
    key = f"kubernetes.io/cluster/{facts.cluster_name}"

    def owns_many(node_class: EC2NodeClass) -> Iterator[str]:
        tagged = [each.id for each in node_groups(facts, node_class) if key in each.tags]
        if len(tagged) > 1:
            yield f"EC2NodeClass {node_class.name} selects {', '.join(tagged)}, all with the tag {key}"

    return advised(over(_classes(facts), owns_many), otherwise=f"one group at most has the tag {key}")


NETWORK: Final = Group(
    "Network",
    (
        Check(
            "ND301",
            "EC2NodeClasses find subnets",
            "The selector's tag is on no subnet: it was never set, is misspelt, or has another cluster's name.",
            "Tag the subnets of the nodes, or correct spec.subnetSelectorTerms; ND321 says what was likely meant.",
            _select_subnets,
        ),
        Check(
            "ND302",
            "Subnets have free addresses",
            "Each node and each pod takes an address of its subnet.",
            "Add subnets (a secondary CIDR of the VPC will do) and tag them; or use prefix delegation.",
            _addresses,
        ),
        Check(
            "ND303",
            "Nodes can be in more than one zone",
            "One zone has fewer spot pools, and its outage takes everything.",
            "Tag subnets of other zones too.",
            _zones,
        ),
        Check(
            "ND304",
            "Subnets have a way out",
            "Nodes fetch images and talk to EC2, ECR and EKS: by NAT, an internet gateway, or VPC endpoints.",
            "Give the subnet's route table a route to a NAT gateway, or make the endpoints that are listed.",
            _routes,
        ),
        Check(
            "ND305",
            "Instances in public subnets get public addresses",
            "An internet gateway serves only instances that have a public address.",
            "Use private subnets with NAT, or set spec.associatePublicIPAddress: true.",
            _public,
        ),
        Check(
            "ND306",
            "EC2NodeClasses find security groups",
            "The selector's tag is on no security group, or is misspelt.",
            "Tag the cluster's security group, or correct spec.securityGroupSelectorTerms; see ND322.",
            _select_groups,
        ),
        Check(
            "ND307",
            "Security groups let the control plane reach kubelets",
            "Without it `kubectl logs` and `exec`, webhooks and metrics fail, although nodes are Ready.",
            "Select the cluster's own security group, or let it in on port 10250.",
            _admits_cluster,
        ),
        Check(
            "ND308",
            "The cluster's security group lets nodes in",
            "The private endpoint is behind the cluster's security group: nodes that are not let in never join.",
            "Select the cluster's own security group, or let the nodes' group into it on port 443.",
            _admitted_by_cluster,
        ),
        Check(
            "ND309",
            "Security groups let instances out",
            "A group without an outbound rule keeps instances from images and from the cluster.",
            "Give the group an outbound rule.",
            _outbound,
        ),
        Check(
            "ND310",
            "One security group belongs to the cluster",
            "The load balancer controller refuses instances with two groups that have the cluster's tag.",
            "Take the tag from all but one, or select one only.",
            _one_owner,
        ),
        Check(
            "ND311",
            "Subnets and security groups are in the cluster's VPC",
            "The selector's tag is on something of another VPC as well: launches there fail, or nodes never join.",
            "Take the tag away there, or make the selector narrower.",
            _same_vpc,
        ),
    ),
)
