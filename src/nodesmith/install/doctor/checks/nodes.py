"""Who the nodes are: their role, its instance profile, and whether the cluster lets it in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import yaml

from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.api.likeness import closest
from nodesmith.install.awsauth import GROUPS, USERNAME
from nodesmith.install.doctor.awsfacts import AccessEntry, Profile, Role
from nodesmith.install.doctor.check import Check, Group, Verdict, advised, failed, judged, not_applicable, ok, over
from nodesmith.install.doctor.facts import Facts
from nodesmith.install.doctor.seen import NotSeenError, Unseen, need
from nodesmith.install.doctor.trust import admits

_REGISTRY: Final = ("AmazonEC2ContainerRegistryReadOnly", "AmazonEC2ContainerRegistryPullOnly")
_WORKER: Final = ("AmazonEKSWorkerNodePolicy", "AmazonEKSWorkerNodeMinimalPolicy")
_CNI: Final = ("AmazonEKS_CNI_Policy",)
_SSM: Final = ("AmazonSSMManagedInstanceCore", "AmazonSSMManagedEC2InstanceDefaultPolicy")
_NODE_TYPES: Final = frozenset({"EC2_LINUX", "EC2_WINDOWS", "EC2"})


def _role_names(facts: Facts) -> tuple[str, ...]:
    """The roles that nodes have: those of EC2NodeClasses, and those of the profiles that others name."""
    stated = {each.spec.role.rpartition("/")[2] for each in facts.node_classes if each.spec.role}
    given = (each.spec.instance_profile for each in facts.node_classes if each.spec.instance_profile)
    for name in given:
        profile = facts.identity.profiles.get(name)
        if isinstance(profile, Profile):
            stated.update(profile.roles)
    if not stated:
        raise NotSeenError("no EC2NodeClass names a role")
    return tuple(sorted(stated))


def _role(facts: Facts, name: str) -> Role | None:
    return need(facts.identity.node_roles.get(name, Unseen(f"role {name} was not looked at")))


def _over_roles(facts: Facts, problems_of: Callable[[Role], Iterable[str]]) -> list[str]:
    """The problems of the roles that are there."""

    def of_name(name: str) -> Iterable[str]:
        role = _role(facts, name)
        return () if role is None else problems_of(role)

    return over(_role_names(facts), of_name)


def _exist(facts: Facts) -> Verdict:
    names = _role_names(facts)
    absent = over(names, lambda name: () if _role(facts, name) is not None else [f"there is no role {name}"])
    return judged(absent, otherwise=", ".join(names))


def _trust(facts: Facts) -> Verdict:
    services = ("ec2.amazonaws.com", "ec2.amazonaws.com.cn")

    def distrusts(role: Role) -> Iterator[str]:
        if not any(admits(role.trust, "Service", each, "sts:AssumeRole", context={}) for each in services):
            yield f"{role.name} does not trust EC2"

    return judged(_over_roles(facts, distrusts), otherwise="EC2 may give instances the role")


def _lacking(facts: Facts, wanted: Sequence[str]) -> list[str]:
    def lacks(role: Role) -> Iterator[str]:
        if not any(arn.rpartition("/")[2] in wanted for arn in role.attached):
            yield f"{role.name} has {'no' if len(wanted) == 1 else 'none of'} {', '.join(wanted)}"

    return _over_roles(facts, lacks)


def _worker(facts: Facts) -> Verdict:
    return judged(_lacking(facts, _WORKER), otherwise="the kubelet may ask EC2 what it needs")


def _registry(facts: Facts) -> Verdict:
    return judged(_lacking(facts, _REGISTRY), otherwise="images can be pulled from ECR")


def _cni(facts: Facts) -> Verdict:
    return advised(_lacking(facts, _CNI), otherwise="the VPC CNI may give pods addresses")


def _ssm(facts: Facts) -> Verdict:
    return advised(_lacking(facts, _SSM), otherwise="nodes can be opened by Session Manager")


def _over_profiles(
    facts: Facts, problems_of: Callable[[EC2NodeClass, str, Profile | None], Iterable[str]]
) -> list[str]:
    """The problems of the instance profiles that EC2NodeClasses have."""

    def of_class(node_class: EC2NodeClass) -> Iterable[str]:
        name = node_class.spec.instance_profile or node_class.status.instance_profile
        if not name:
            return ()
        found = need(facts.identity.profiles.get(name, Unseen(f"profile {name} was not looked at")))
        return problems_of(node_class, name, found)

    return over(facts.node_classes, of_class)


def _profiles(facts: Facts) -> Verdict:
    def absent(node_class: EC2NodeClass, name: str, found: Profile | None) -> Iterator[str]:
        if found is None:
            yield f"EC2NodeClass {node_class.name}: there is no instance profile {name}"

    return judged(_over_profiles(facts, absent), otherwise="every instance profile is there")


def _profile_roles(facts: Facts) -> Verdict:
    def wrong(node_class: EC2NodeClass, name: str, found: Profile | None) -> Iterator[str]:
        wanted = node_class.spec.role.rpartition("/")[2]
        if found is not None and not found.roles:
            yield f"instance profile {name} has no role"
        elif found is not None and wanted and wanted not in found.roles:
            yield f"instance profile {name} has the role {', '.join(found.roles)}, not {wanted}"

    return judged(_over_profiles(facts, wrong), otherwise="every instance profile has its role")


def _mapped(facts: Facts) -> Verdict:
    mode = facts.eks.authentication_mode

    def shut_out(role: Role) -> Iterator[str]:
        by_entry = "API" in mode and any(each.principal == role.arn for each in need(facts.identity.access_entries))
        by_map = "CONFIG_MAP" in mode and any(row.get("rolearn") == _bare(role.arn) for row in _rows(facts))
        if not by_entry and not by_map:
            yield f"{role.name} is not let in (authentication mode {mode}){_near(facts, role, mode)}"

    places = "an access entry or aws-auth" if "API" in mode else "aws-auth"
    return judged(_over_roles(facts, shut_out), otherwise=f"the node role is let in by {places}")


def _near(facts: Facts, role: Role, mode: str) -> str:
    known = [str(row.get("rolearn", "")) for row in _rows(facts)] if "CONFIG_MAP" in mode else []
    if "API" in mode:
        known += [each.principal for each in need(facts.identity.access_entries)]
    like = closest(role.arn, known)
    return f"; what is most like it is {like}" if like else ""


def _bare(arn: str) -> str:
    """The ARN as aws-auth wants it, without a path."""
    head, _, name = arn.partition(":role/")
    return f"{head}:role/{name.rpartition('/')[2]}"


def _rows(facts: Facts) -> list[dict[str, Any]]:
    """The rows of aws-auth; none where there is no ConfigMap, or it is malformed, which is another check's to say."""
    text = need(facts.cluster.aws_auth)
    try:
        rows = yaml.safe_load(text or "") or ()
    except yaml.YAMLError:
        return []
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _well_formed(facts: Facts) -> Verdict:
    if "CONFIG_MAP" not in facts.eks.authentication_mode:
        return not_applicable("the authentication mode does not look at aws-auth")
    text = need(facts.cluster.aws_auth)
    if text is None:
        return ok("there is no aws-auth")
    try:
        rows = yaml.safe_load(text) or []
    except yaml.YAMLError as error:
        return failed(f"mapRoles is not YAML: {' '.join(str(error).split())}")
    if not isinstance(rows, list):
        return failed("mapRoles is not a list")
    return judged(_slips(rows), otherwise=f"{len(rows)} roles are mapped")


def _slips(rows: Sequence[Any]) -> Iterator[str]:
    for place, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            yield f"entry {place} is not a mapping"
            continue
        for name in sorted({"rolearn", "username", "groups"} - row.keys()):
            like = closest(name, [str(key) for key in row])
            yield f"entry {place} has no {name}{f'; it has {like}' if like else ''}"
        arn = str(row.get("rolearn", ""))
        if arn and arn != _bare(arn):
            yield f"entry {place}: {arn} has a path, which aws-auth does not know: write {_bare(arn)}"
        if "${" in arn:
            yield f"entry {place}: {arn} has a placeholder that nobody filled in"


def _arns(facts: Facts) -> frozenset[str]:
    """The ARNs of the node roles that are there."""
    return frozenset(_over_roles(facts, lambda role: [role.arn]))


def _groups(facts: Facts) -> Verdict:
    if "CONFIG_MAP" not in facts.eks.authentication_mode:
        return not_applicable("the authentication mode does not look at aws-auth")
    arns = {_bare(arn) for arn in _arns(facts)}
    ours = [row for row in _rows(facts) if row.get("rolearn") in arns]
    if not ours:
        return not_applicable("the node role is not in aws-auth")
    problems = [f"group {each} is missing" for row in ours for each in GROUPS if each not in (row.get("groups") or ())]
    problems += [
        f"its username is {row.get('username')}, nodes are {USERNAME}"
        for row in ours
        if not str(row.get("username", "")).startswith("system:node:")
    ]
    return judged(problems, otherwise="groups and username are those of nodes")


def _entry_type(facts: Facts) -> Verdict:
    if "API" not in facts.eks.authentication_mode:
        return not_applicable("the authentication mode does not look at access entries")
    arns = _arns(facts)
    ours: list[AccessEntry] = [each for each in need(facts.identity.access_entries) if each.principal in arns]
    if not ours:
        return not_applicable("the node role has no access entry")
    wrong = [f"the access entry of {each.principal} is of type {each.type}" for each in ours]
    return judged(
        [told for told, each in zip(wrong, ours, strict=True) if each.type not in _NODE_TYPES],
        otherwise="its access entry is one for nodes",
    )


NODES: Final = Group(
    "The nodes' identity",
    (
        Check(
            "ND201",
            "The node role is there",
            "spec.role of an EC2NodeClass names a role that was not made, or is misspelt.",
            "Put the role's name (not its ARN) into spec.role, or run `nodesmith install`.",
            _exist,
        ),
        Check(
            "ND202",
            "The node role trusts EC2",
            "Instances cannot have a role that EC2 may not assume.",
            "Let ec2.amazonaws.com assume it (sts:AssumeRole).",
            _trust,
        ),
        Check(
            "ND203",
            "The node role may join",
            "The kubelet describes its own instance when it starts.",
            "Attach AmazonEKSWorkerNodePolicy to the node role.",
            _worker,
        ),
        Check(
            "ND204",
            "The node role may pull images",
            "Without it system pods do not start and nodes stay NotReady.",
            "Attach AmazonEC2ContainerRegistryReadOnly (or PullOnly) to the node role.",
            _registry,
        ),
        Check(
            "ND205",
            "Pods get addresses",
            "The VPC CNI takes its rights from the node role, unless its service account has a role of its own.",
            "Attach AmazonEKS_CNI_Policy to the node role, unless aws-node has a role of its own.",
            _cni,
        ),
        Check(
            "ND206",
            "Nodes can be opened for a look",
            "Without Session Manager a node that does not join can only be looked at through its console output.",
            "Attach AmazonSSMManagedInstanceCore to the node role.",
            _ssm,
        ),
        Check(
            "ND207",
            "Instance profiles are there",
            "spec.instanceProfile names one that is not there, or someone deleted the one that the controller made.",
            "Give spec.role instead, for which the controller makes a profile; or make the profile again.",
            _profiles,
        ),
        Check(
            "ND208",
            "Instance profiles have the right role",
            "A profile that was made by hand, or changed after, has another role or none.",
            "`aws iam add-role-to-instance-profile`, or give spec.role instead of spec.instanceProfile.",
            _profile_roles,
        ),
        Check(
            "ND211",
            "The cluster lets the node role in",
            "Instances start and never become nodes: the API server does not know their role.",
            "Run `nodesmith install`, or `aws eks create-access-entry --type EC2_LINUX --principal-arn ROLE`.",
            _mapped,
        ),
        Check(
            "ND212",
            "aws-auth is well formed",
            "mapRoles is a text with YAML in it: a slip of indentation locks out everybody that it lists.",
            "Correct the ConfigMap kube-system/aws-auth, or move to access entries.",
            _well_formed,
        ),
        Check(
            "ND213",
            "aws-auth gives the node role a node's groups",
            "Without system:bootstrappers and system:nodes a node may not register.",
            "Give the entry both groups, and the username system:node:{{EC2PrivateDNSName}}.",
            _groups,
        ),
        Check(
            "ND214",
            "The node role's access entry is for nodes",
            "An entry of type STANDARD has no rights of a node.",
            "Delete the entry and make it again with --type EC2_LINUX.",
            _entry_type,
        ),
    ),
)
