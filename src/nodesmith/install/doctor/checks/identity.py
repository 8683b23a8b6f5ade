"""Who the controller is to AWS: its service account, its role, and whom that role trusts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from nodesmith.api.likeness import closest
from nodesmith.install.chart import ROLE_ANNOTATION
from nodesmith.install.doctor.awsfacts import PodIdentity, Role
from nodesmith.install.doctor.check import Check, Group, Verdict, failed, judged, not_applicable, ok, warning
from nodesmith.install.doctor.facts import Facts
from nodesmith.install.doctor.seen import NotSeenError, Unseen, need
from nodesmith.install.doctor.trust import WEB_IDENTITY, accepts, admits, conditions_on, trusted
from nodesmith.install.identity import AGENT, AUDIENCE
from nodesmith.install.names import Names

PODS: Final = "pods.eks.amazonaws.com"


def _annotation(facts: Facts) -> str:
    account = need(facts.cluster.service_account)
    return "" if account is None else account.annotations.get(ROLE_ANNOTATION, "")


def _association(facts: Facts) -> PodIdentity | None:
    names = facts.names
    wanted = (names.namespace, names.service_account)
    listed = need(facts.identity.pod_identities)
    return next((each for each in listed if (each.namespace, each.service_account) == wanted), None)


def _role(facts: Facts) -> Role:
    role = need(facts.identity.controller_role)
    if role is None:
        raise NotSeenError("the controller's role is not there")
    return role


def _by_web_identity(facts: Facts) -> bool:
    return _association(facts) is None


def _service_account(facts: Facts) -> Verdict:
    names = facts.names
    key = f"{names.namespace}/{names.service_account}"
    if need(facts.cluster.service_account) is None:
        return failed(f"there is no service account {key}")
    return ok(key)


def _has_role(facts: Facts) -> Verdict:
    names, annotation, association = facts.names, _annotation(facts), _association(facts)
    if association is not None:
        return ok(f"pod identity gives it {association.role_arn}")
    if annotation:
        return ok(f"its annotation names {annotation}")
    account = need(facts.cluster.service_account)
    like = closest(ROLE_ANNOTATION, account.annotations if account is not None else ())
    told = f"service account {names.namespace}/{names.service_account} has no annotation {ROLE_ANNOTATION}"
    near = f"{told}; it has {like}, which nobody reads" if like else told
    arn = names.role_arn(names.controller_role)
    cure = f"set serviceAccount.annotations.{ROLE_ANNOTATION.replace('.', chr(92) + '.')}={arn} in the Helm values"
    return failed(f"{near}, and no pod identity association", cure=cure)


def _one_way(facts: Facts) -> Verdict:
    annotation, association = _annotation(facts), _association(facts)
    if association is None or not annotation:
        return ok("there is one way only")
    if association.role_arn == annotation:
        return ok("both ways name the same role")
    return warning(f"the annotation names {annotation}, pod identity gives {association.role_arn}, which counts")


def _role_exists(facts: Facts) -> Verdict:
    role = need(facts.identity.controller_role)
    if role is not None:
        return ok(role.arn)
    stated = _association(facts)
    arn = stated.role_arn if stated is not None else _annotation(facts)
    return failed(f"there is no role {arn or facts.names.role_arn(facts.names.controller_role)}")


def _provider(facts: Facts) -> Verdict:
    if not _by_web_identity(facts):
        return not_applicable("the controller uses pod identity")
    if need(facts.identity.provider) is not None:
        return ok(facts.names.issuer_arn)
    others = [each for each in need(facts.identity.providers) if "oidc.eks." in each]
    more = f"; IAM knows {', '.join(others)}, which are other clusters' issuers" if others else ""
    return failed(f"IAM does not know the issuer {facts.names.issuer}{more}")


def _audience(facts: Facts) -> Verdict:
    if not _by_web_identity(facts):
        return not_applicable("the controller uses pod identity")
    provider = need(facts.identity.provider)
    if provider is None:
        raise NotSeenError("there is no OIDC provider")
    if AUDIENCE in provider.audiences:
        return ok(f"{AUDIENCE} is among its audiences")
    return failed(f"its audiences are {', '.join(provider.audiences) or 'none'}; {AUDIENCE} is missing")


def _trusts_issuer(facts: Facts) -> Verdict:
    role, names = _role(facts), facts.names
    if not _by_web_identity(facts):
        if PODS in trusted(role.trust, "Service"):
            return ok(f"it trusts {PODS}")
        return failed(f"{role.name} does not trust {PODS}")
    known = trusted(role.trust, "Federated")
    if names.issuer_arn in known:
        return ok(f"it trusts {names.issuer_arn}")
    listed = ", ".join(sorted(known)) or "no OIDC provider"
    return failed(f"{role.name} trusts {listed}, not {names.issuer_arn}")


def _trusts_subject(facts: Facts) -> Verdict:
    names = facts.names
    subject = f"system:serviceaccount:{names.namespace}:{names.service_account}"
    return _trusts_claim(facts, ":sub", subject)


def _trusts_audience(facts: Facts) -> Verdict:
    return _trusts_claim(facts, ":aud", AUDIENCE)


def _trusts_claim(facts: Facts, suffix: str, value: str) -> Verdict:
    if not _by_web_identity(facts):
        return not_applicable("the controller uses pod identity")
    role, names = _role(facts), facts.names
    if names.issuer_arn not in trusted(role.trust, "Federated"):
        raise NotSeenError("the role does not trust the cluster's issuer")
    found = list(conditions_on(role.trust, names.issuer_arn, suffix))
    refusing = (values for operator, values in found if not accepts(operator, values, value))
    problems = [f"{role.name} admits {' or '.join(values)}, but the controller is {value}" for values in refusing]
    if problems:
        return failed(*problems)
    if not found and suffix == ":sub":
        return warning(f"{role.name} has no condition on the subject: every service account may assume it")
    return ok(f"it admits {value}")


def _trust_holds(facts: Facts) -> Verdict:
    role, names = _role(facts), facts.names
    if _by_web_identity(facts):
        context = {
            f"{names.issuer_path}:sub": f"system:serviceaccount:{names.namespace}:{names.service_account}",
            f"{names.issuer_path}:aud": AUDIENCE,
        }
        lets = admits(role.trust, "Federated", names.issuer_arn, WEB_IDENTITY, context=context)
    else:
        actions = ("sts:AssumeRole", "sts:TagSession")
        lets = all(admits(role.trust, "Service", PODS, each, context=_of_agent(names)) for each in actions)
    if lets:
        return ok(f"{role.name} may be assumed by the controller")
    return failed(f"the trust policy of {role.name} as a whole does not let the controller in")


def _of_agent(names: Names) -> dict[str, str]:
    """The context in which EKS assumes a role for a pod: its tags say for which."""
    tags = {
        "eks-cluster-arn": names.cluster_arn,
        "eks-cluster-name": names.cluster,
        "kubernetes-namespace": names.namespace,
        "kubernetes-service-account": names.service_account,
    }
    context = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    return context | {"aws:SourceAccount": names.account, "aws:SourceArn": names.cluster_arn}


def _agent(facts: Facts) -> Verdict:
    if _by_web_identity(facts):
        return not_applicable("the controller does not use pod identity")
    if need(facts.cluster.has_pod_identity_agent):
        return ok(f"the DaemonSet {AGENT} is there")
    return failed(f"there is no DaemonSet {AGENT} in kube-system")


def _assumed(facts: Facts) -> Verdict:
    if not _by_web_identity(facts):
        return not_applicable("the controller uses pod identity")
    got = facts.identity.assumed
    if isinstance(got, Unseen) and "AccessDenied" in got.reason:
        return failed(f"STS refuses a token of the service account: {got.reason}")
    return ok(f"STS gives {need(got)} for a token of the service account")


def _other_accounts(facts: Facts) -> Iterator[str]:
    account = need(facts.account.caller).account
    for arn in filter(None, (_annotation(facts), getattr(_association(facts), "role_arn", ""))):
        parts = arn.split(":")
        if len(parts) < 6 or not parts[5].startswith("role/"):  # noqa: PLR2004 - an ARN has six parts
            yield f"{arn} is not a role's ARN"
        elif parts[4] != account:
            yield f"{arn} belongs to account {parts[4]}, the cluster to {account}"


def _well_named(facts: Facts) -> Verdict:
    return judged(_other_accounts(facts), otherwise="the role is of this account")


IDENTITY: Final = Group(
    "The controller's identity",
    (
        Check(
            "ND101",
            "The controller's service account is there",
            "Deployment and service account do not agree, or serviceAccount.create is off and nobody made it.",
            "Set serviceAccount.create=true, or serviceAccount.name to the one that is there.",
            _service_account,
        ),
        Check(
            "ND102",
            "The service account has a role",
            "Without the annotation (IRSA) or a pod identity association, the controller has no AWS credentials.",
            f"Annotate the service account with {ROLE_ANNOTATION}, or associate the role with it in EKS.",
            _has_role,
        ),
        Check(
            "ND103",
            "The service account has its role one way",
            "With both, pod identity counts and the annotation misleads.",
            "Take the annotation away, or the association.",
            _one_way,
        ),
        Check(
            "ND104",
            "The role's ARN is of this account",
            "A placeholder was left in the values, or the values are another environment's.",
            "Put the ARN of the controller's role into the Helm values.",
            _well_named,
        ),
        Check(
            "ND105",
            "The controller's role is there",
            "It was never made, was deleted, or its name is misspelt in the annotation.",
            "Run `nodesmith install`, or put the right ARN into the annotation.",
            _role_exists,
        ),
        Check(
            "ND106",
            "IAM knows the cluster's OIDC issuer",
            "A cluster that was made anew has another issuer; until IAM knows it, no token of the cluster is believed.",
            "Run `nodesmith install`, or `eksctl utils associate-iam-oidc-provider --cluster CLUSTER --approve`.",
            _provider,
        ),
        Check(
            "ND107",
            "The OIDC provider admits STS",
            "Tokens of service accounts are for the audience sts.amazonaws.com.",
            f"`aws iam add-client-id-to-open-id-connect-provider --client-id {AUDIENCE} "
            "--open-id-connect-provider-arn ARN`.",
            _audience,
        ),
        Check(
            "ND108",
            "The role trusts this cluster",
            "The trust policy names the issuer of another cluster, or of this one before it was made anew.",
            "Run `nodesmith install`, which writes the trust policy; or put the cluster's provider into it.",
            _trusts_issuer,
        ),
        Check(
            "ND109",
            "The role trusts the controller's service account",
            "The condition on `:sub` names another namespace or service account than the Helm release uses.",
            "Make the condition system:serviceaccount:NAMESPACE:NAME of the release.",
            _trusts_subject,
        ),
        Check(
            "ND110",
            "The role's trust policy has the right audience",
            "The condition on `:aud` is not what tokens of service accounts have.",
            f"Make the condition {AUDIENCE}.",
            _trusts_audience,
        ),
        Check(
            "ND111",
            "The trust policy lets the controller in",
            "It allows another action (pod identity needs sts:TagSession too), or a deny or a condition is in the way.",
            "Run `nodesmith install`, which writes the trust policy.",
            _trust_holds,
        ),
        Check(
            "ND112",
            "The pod identity agent runs",
            "Credentials by pod identity come from an agent on each node, an add-on of EKS.",
            "`aws eks create-addon --cluster-name CLUSTER --addon-name eks-pod-identity-agent`.",
            _agent,
        ),
        Check(
            "ND113",
            "STS gives the controller its role",
            "Tried with a token of the service account: everything above may look right and a service control policy "
            "still be in the way.",
            "Read AWS's words; look at ND106 to ND111 and at the organisation's policies.",
            _assumed,
        ),
    ),
)
