"""Roles, profiles, OIDC providers and access entries, as IAM and EKS have them."""

from __future__ import annotations

from collections.abc import Container

from nodesmith.adapters.aws.client import AwsClient
from nodesmith.install.doctor.awsfacts import AccessEntry, Document, PodIdentity, Profile, Provider, Role
from nodesmith.install.doctor.gather.paging import marked
from nodesmith.install.documents import as_document
from nodesmith.install.identity import associations
from nodesmith.install.names import Names
from nodesmith.ports.errors import NotFound


async def role(client: AwsClient, name: str, *, with_documents: bool) -> Role | None:
    """The role by name, with the documents of its policies if asked; None where there is none.

    Raises:
        PortError: when IAM does not answer.
    """
    try:
        told = (await client.call("iam", "GetRole", RoleName=name))["Role"]
    except NotFound:
        return None
    attached = await marked(client, "iam", "ListAttachedRolePolicies", "AttachedPolicies", RoleName=name)
    boundary = (told.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
    return Role(
        name=name,
        arn=told["Arn"],
        trust=as_document(told["AssumeRolePolicyDocument"]),
        attached=tuple(each["PolicyArn"] for each in attached),
        documents=await _documents(client, name, attached) if with_documents else {},
        boundary=await _document(client, boundary) if boundary and with_documents else None,
    )


async def _documents(client: AwsClient, name: str, attached: list[dict[str, str]]) -> dict[str, Document]:
    documents = {each["PolicyName"]: await _document(client, each["PolicyArn"]) for each in attached}
    for inline in await marked(client, "iam", "ListRolePolicies", "PolicyNames", RoleName=name):
        told = await client.call("iam", "GetRolePolicy", RoleName=name, PolicyName=inline)
        documents[inline] = as_document(told["PolicyDocument"])
    return documents


async def _document(client: AwsClient, arn: str) -> Document:
    version = (await client.call("iam", "GetPolicy", PolicyArn=arn))["Policy"]["DefaultVersionId"]
    told = await client.call("iam", "GetPolicyVersion", PolicyArn=arn, VersionId=version)
    return as_document(told["PolicyVersion"]["Document"])


async def profile(client: AwsClient, name: str) -> Profile | None:
    """The instance profile by name; None where there is none.

    Raises:
        PortError: when IAM does not answer.
    """
    try:
        told = (await client.call("iam", "GetInstanceProfile", InstanceProfileName=name))["InstanceProfile"]
    except NotFound:
        return None
    return Profile(name, tuple(each["RoleName"] for each in told.get("Roles") or ()))


async def provider(client: AwsClient, arn: str) -> Provider | None:
    """The OIDC provider; None where there is none.

    Raises:
        PortError: when IAM does not answer.
    """
    try:
        told = await client.call("iam", "GetOpenIDConnectProvider", OpenIDConnectProviderArn=arn)
    except NotFound:
        return None
    return Provider(arn, tuple(told.get("ClientIDList") or ()))


async def providers(client: AwsClient) -> tuple[str, ...]:
    """The ARNs of all OIDC providers."""
    told = await client.call("iam", "ListOpenIDConnectProviders")
    return tuple(each["Arn"] for each in told.get("OpenIDConnectProviderList") or ())


async def pod_identities(client: AwsClient, names: Names) -> tuple[PodIdentity, ...]:
    """The roles that the controller's service account has by pod identity: one or none. A list does not tell them."""
    found = []
    for each in await associations(client, names):
        told = await client.call(
            "eks",
            "DescribePodIdentityAssociation",
            clusterName=names.cluster,
            associationId=each["associationId"],
        )
        found.append(PodIdentity(each["namespace"], each["serviceAccount"], str(told["association"]["roleArn"])))
    return tuple(found)


async def access_entries(client: AwsClient, cluster: str, roles: Container[str]) -> tuple[AccessEntry, ...]:
    """Who is let in by access entries; of those that are none of the roles, by name, no more is asked."""
    principals = await marked(
        client, "eks", "ListAccessEntries", "accessEntries", cursor="nextToken", clusterName=cluster
    )
    found = []
    for principal in principals:
        if principal.rpartition("/")[2] not in roles:
            found.append(AccessEntry(principal, ""))
            continue
        told = await client.call("eks", "DescribeAccessEntry", clusterName=cluster, principalArn=principal)
        entry = told["accessEntry"]
        found.append(AccessEntry(principal, str(entry["type"]), tuple(entry.get("kubernetesGroups") or ())))
    return tuple(found)
