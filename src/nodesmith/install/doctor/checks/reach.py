"""Whether the account and the cluster can be reached, and are the ones that are meant."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from nodesmith.adapters.aws.cluster import NEWEST, OLDEST
from nodesmith.api.likeness import did_you_mean
from nodesmith.install.doctor.awsfacts import EksCluster
from nodesmith.install.doctor.check import Check, Group, Verdict, failed, not_applicable, ok, warning
from nodesmith.install.doctor.facts import Facts
from nodesmith.install.doctor.seen import NotSeenError, Unseen, need

_SKEW_WARNS: Final = timedelta(seconds=30)
_SKEW_FAILS: Final = timedelta(minutes=5)


def _credentials(facts: Facts) -> Verdict:
    caller = facts.account.caller
    if isinstance(caller, Unseen):
        return failed(caller.reason)
    return ok(f"{caller.arn} in account {caller.account}")


def _clock(facts: Facts) -> Verdict:
    ahead = need(facts.account.caller).clock_ahead
    if ahead is None:
        raise NotSeenError("AWS's answer has no date")
    told = f"this machine's clock is {abs(ahead).total_seconds():.0f} s {'behind' if ahead > timedelta(0) else 'ahead'}"
    if abs(ahead) >= _SKEW_FAILS:
        return failed(told)
    return warning(told) if abs(ahead) >= _SKEW_WARNS else ok("the clocks agree")


def _cluster(facts: Facts) -> Verdict:
    if need(facts.account.cluster) is not None:
        return ok(f"EKS has {facts.cluster_name} in {facts.region}")
    names = need(facts.account.clusters)
    listed = f"it has {', '.join(names)}" if names else "it has none at all"
    cure = did_you_mean(facts.cluster_name, names)
    return failed(f"EKS has no cluster {facts.cluster_name} in {facts.region}: {listed}", cure=cure)


def _active(facts: Facts) -> Verdict:
    status = facts.eks.status
    if status == "UPDATING":
        return warning("the cluster is being updated")
    return ok("ACTIVE") if status == "ACTIVE" else failed(f"its status is {status}")


def _version(facts: Facts) -> Verdict:
    major, _, minor = facts.eks.version.partition(".")
    if not (major.isdecimal() and minor.isdecimal()):
        raise NotSeenError(f"EKS says that the version is {facts.eks.version!r}")
    version = (int(major), int(minor))
    oldest, newest = (".".join(map(str, each)) for each in (OLDEST, NEWEST))
    told = f"Kubernetes {facts.eks.version}; nodes are known to join {oldest} to {newest}"
    if version < OLDEST:
        return failed(told, cure="upgrade the cluster")
    return warning(told, cure="look for a newer nodesmith") if version > NEWEST else ok(told)


def _kubernetes(facts: Facts) -> Verdict:
    reached, eks = facts.cluster.reached, facts.account.cluster
    if not isinstance(reached, Unseen):
        return ok("the API server answers")
    is_closed = isinstance(eks, EksCluster) and not eks.is_public
    return failed(reached.reason, *(["its endpoint is private: it answers within the VPC only"] if is_closed else []))


def _same_cluster(facts: Facts) -> Verdict:
    asked, known = facts.cluster.server, facts.eks.endpoint
    if not asked:
        return not_applicable("the address of the API server is not known")
    if _host(asked) == _host(known):
        return ok(known)
    return warning(f"the kubeconfig goes to {asked}, EKS says {known}")


def _endpoint(facts: Facts) -> Verdict:
    eks = facts.eks
    if eks.is_private:
        return ok("the endpoint is reached from within the VPC")
    ranges = [each for each in eks.public_cidrs if each != "0.0.0.0/0"]
    if not eks.is_public:
        return failed("the endpoint is neither public nor private")
    if ranges:
        told = f"the endpoint is public only, for {', '.join(ranges)}: nodes come from the NAT gateways' addresses"
        return warning(told)
    return ok("the endpoint is public: nodes reach it over the internet")


def _host(address: str) -> str:
    return address.lower().removeprefix("https://").rstrip("/").removesuffix(":443")


REACH: Final = Group(
    "Account and cluster",
    (
        Check(
            "ND001",
            "AWS credentials work",
            "No credentials are found, they have expired, or the endpoint is wrong: nothing in AWS can be looked at.",
            "Log in (`aws sso login`), or set AWS_PROFILE; if AWS_ENDPOINT_URL is set, look whether it should be.",
            _credentials,
        ),
        Check(
            "ND002",
            "The clock is right",
            "AWS refuses requests that are signed five minutes off; certificates and leases go wrong before that.",
            "Turn time synchronisation on (`timedatectl set-ntp true`).",
            _clock,
        ),
        Check(
            "ND003",
            "EKS has the cluster in this region",
            "The name is misspelt, or the region or the account is another one.",
            "Give the cluster's name as `aws eks list-clusters` has it, and the region with --region.",
            _cluster,
        ),
        Check(
            "ND004",
            "The cluster is active",
            "A cluster that is being made or has failed lets no nodes join.",
            "Wait until `aws eks describe-cluster` says ACTIVE.",
            _active,
        ),
        Check(
            "ND005",
            "The Kubernetes version is supported",
            "Images, node set-up and the API differ from version to version.",
            "Upgrade the cluster or nodesmith.",
            _version,
        ),
        Check(
            "ND006",
            "The Kubernetes API can be reached",
            "There is no kubeconfig, it is of another cluster, or the endpoint is private and this machine is outside.",
            "Run `aws eks update-kubeconfig --name CLUSTER`; for a private endpoint, run this from within the VPC.",
            _kubernetes,
        ),
        Check(
            "ND007",
            "The kubeconfig is of the same cluster",
            "AWS would be asked about one cluster, and Kubernetes about another.",
            "Choose the context with --context, unless the address is that of a tunnel to the same cluster.",
            _same_cluster,
        ),
        Check(
            "ND008",
            "Nodes can reach the cluster's endpoint",
            "Nodes join from within the VPC: with the private endpoint off they need the public one, and a way to it.",
            "Turn the private endpoint on (`aws eks update-cluster-config --resources-vpc-config "
            "endpointPrivateAccess=true`), or admit the NAT gateways' addresses to the public one.",
            _endpoint,
        ),
    ),
)
