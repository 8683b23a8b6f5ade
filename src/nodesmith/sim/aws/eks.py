"""EKS: clusters that look like real ones, access entries, pod identity associations, versions."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any, Final

from moto.core.responses import ActionResult, EmptyResult
from moto.eks import urls as moto_urls
from moto.eks.exceptions import ResourceInUseException, ResourceNotFoundException
from moto.eks.models import Cluster, EKSBackend
from moto.eks.responses import EKSResponse
from moto.moto_api._internal import mock_random

from nodesmith.sim.aws import addons, images, world
from nodesmith.sim.aws.ec2.backend import backend_of

if TYPE_CHECKING:
    from collections.abc import Mapping

PATHS: Final = (
    "access-entries$",
    "access-entries/(?P<principalArn>.+)$",
    "pod-identity-associations$",
    "pod-identity-associations/(?P<associationId>[^/]+)$",
    "updates$",
    *addons.PATHS,
)
NETWORK: Final = {"serviceIpv4Cidr": "10.100.0.0/16", "ipFamily": "ipv4"}


class BoxEKSBackend(EKSBackend):
    """EKS of one account in one region."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.access_entries: dict[tuple[str, str], dict[str, Any]] = {}
        self.pod_identities: dict[str, dict[str, Any]] = {}
        self.addons = addons.Addons()

    @property
    def _url_module(self) -> Any:
        class Urls:
            url_bases = moto_urls.url_bases
            url_paths = {  # noqa: RUF012 - moto's form
                **dict.fromkeys(moto_urls.url_paths, BoxEKSResponse.dispatch),
                **{"{0}/clusters/(?P<name>[^/]+)/" + path: BoxEKSResponse.dispatch for path in PATHS},
                "{0}/cluster-versions$": BoxEKSResponse.dispatch,
            }

        return Urls

    def create_cluster(self, **wanted: Any) -> Any:  # type: ignore[override] # moto names each parameter
        """A cluster with network, CA, security group and OIDC issuer, ACTIVE at once."""
        access = wanted.pop("access_config", None) or {}
        wanted["kubernetes_network_config"] = NETWORK | (wanted.get("kubernetes_network_config") or {})
        wanted["version"] = wanted.get("version") or images.DEFAULT_MINOR
        name = wanted["name"]
        if name in self.clusters:
            message = f"Cluster already exists with name: {name}"
            raise ResourceInUseException(clusterName=name, nodegroupName=None, addonName=None, message=message)
        # Not through moto's create_cluster: its check of the role's ARN builds a boto3 session, 50 ms each time.
        cluster: Any = Cluster(
            **wanted, account_id=self.account_id, region_name=self.region_name, aws_partition=self.partition
        )
        self.clusters[name] = cluster
        self.cluster_count += 1
        digest = hashlib.sha256(f"{self.account_id}/{self.region_name}/{name}".encode()).hexdigest().upper()
        cluster.created_at = world.current().now()
        cluster.identity = {"oidc": {"issuer": f"https://oidc.eks.{self.region_name}.amazonaws.com/id/{digest[:32]}"}}
        cluster.endpoint = f"https://{digest[:32]}.gr7.{self.region_name}.eks.amazonaws.com"
        cluster.certificate_authority = {"data": base64.b64encode(_certificate(digest).encode()).decode()}
        cluster.access_config = {
            "authenticationMode": access.get("authenticationMode") or "CONFIG_MAP",
            "bootstrapClusterCreatorAdminPermissions": access.get("bootstrapClusterCreatorAdminPermissions", True),
        }
        self._give_network(cluster)
        return cluster

    def _give_network(self, cluster: Any) -> None:
        """The VPC and the security group that EKS makes for a cluster."""
        config = dict(cluster.resources_vpc_config)
        ec2 = backend_of(self.region_name, self.account_id)
        subnets = [s for i in config.get("subnetIds") or () if (s := ec2.subnet_or_none(i)) is not None]
        config |= {"endpointPublicAccess": True, "endpointPrivateAccess": True, "publicAccessCidrs": ["0.0.0.0/0"]}
        if subnets:
            config["vpcId"] = subnets[0].vpc_id
            name = f"eks-cluster-sg-{cluster.name}"
            tags = {
                "Name": name,
                f"kubernetes.io/cluster/{cluster.name}": "owned",
                "aws:eks:cluster-name": cluster.name,
            }
            group = ec2.create_security_group(name, "EKS created security group", subnets[0].vpc_id, tags)
            config["clusterSecurityGroupId"] = group.id
        cluster.resources_vpc_config = config

    def delete_cluster(self, name: str) -> Any:
        """Remove a cluster with its entries and its security group."""
        cluster = super().delete_cluster(name)
        self.access_entries = {k: v for k, v in self.access_entries.items() if k[0] != name}
        self.pod_identities = {k: v for k, v in self.pod_identities.items() if v["clusterName"] != name}
        self.addons.forget(name)
        group = cluster.resources_vpc_config.get("clusterSecurityGroupId")
        if group:
            backend_of(self.region_name, self.account_id).delete_security_group(group_id=group)
        return cluster


def _certificate(digest: str) -> str:
    """Text in a certificate's form; nothing checks it unless the control gives the cluster a real one."""
    body = base64.b64encode(digest.encode() * 6).decode()
    lines = "\n".join(body[i : i + 64] for i in range(0, len(body), 64))
    return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"


class BoxEKSResponse(EKSResponse):
    """One request to EKS."""

    @property
    def box_backend(self) -> BoxEKSBackend:
        """Our backend, typed."""
        backend = self.eks_backend
        if not isinstance(backend, BoxEKSBackend):
            raise TypeError(type(backend))
        return backend

    @property
    def params_given(self) -> Mapping[str, Any]:
        """The parameters that the box has parsed already."""
        params: Mapping[str, Any] = self.normalized_request.environ["nodesmith.call"].params
        return params

    def create_cluster(self) -> ActionResult:
        """A cluster, its access configuration included."""
        given = self.params_given
        cluster = self.box_backend.create_cluster(
            name=given["name"],
            role_arn=given["roleArn"],
            resources_vpc_config=given.get("resourcesVpcConfig") or {},
            version=given.get("version"),
            kubernetes_network_config=given.get("kubernetesNetworkConfig"),
            logging=given.get("logging"),
            client_request_token=given.get("clientRequestToken"),
            tags=given.get("tags"),
            encryption_config=given.get("encryptionConfig"),
            access_config=given.get("accessConfig"),
        )
        return ActionResult({"cluster": cluster})

    def describe_cluster_versions(self) -> ActionResult:
        """The versions that have images here."""
        rows = [
            {"clusterVersion": v, "clusterType": "eks", "defaultVersion": v == images.DEFAULT_MINOR}
            for v in reversed(images.MINORS)
        ]
        return ActionResult({"clusterVersions": rows})

    # --- access entries ---

    def create_access_entry(self) -> ActionResult:
        """Map a role into the cluster.

        Raises:
            ResourceInUseException: it is mapped already.
        """
        given = self.params_given
        cluster, principal = self._cluster(), given["principalArn"]
        store = self.box_backend.access_entries
        if (cluster, principal) in store:
            message = "The specified access entry resource is already in use on this cluster."
            raise ResourceInUseException(clusterName=None, nodegroupName=None, addonName=None, message=message)
        now = world.current().now()
        role = principal.split("/")[-1]
        unique = f"{self.current_account}/{role}/{mock_random.uuid4()}"
        entry = store[cluster, principal] = {
            "clusterName": cluster,
            "principalArn": principal,
            "type": given.get("type") or "STANDARD",
            "username": given.get("username") or f"{principal}/{{{{SessionName}}}}",
            "kubernetesGroups": given.get("kubernetesGroups") or _groups(given.get("type")),
            "accessEntryArn": f"arn:aws:eks:{self.region}:{self.current_account}:access-entry/{cluster}/role/{unique}",
            "tags": given.get("tags") or {},
            "createdAt": now,
            "modifiedAt": now,
        }
        return ActionResult({"accessEntry": entry})

    def describe_access_entry(self) -> ActionResult:
        """One mapping."""
        return ActionResult({"accessEntry": self._entry()})

    def list_access_entries(self) -> ActionResult:
        """The principals that are mapped."""
        cluster = self._cluster()
        found = sorted(arn for name, arn in self.box_backend.access_entries if name == cluster)
        return ActionResult({"accessEntries": found})

    def delete_access_entry(self) -> ActionResult:
        """Unmap a role."""
        entry = self._entry()
        del self.box_backend.access_entries[entry["clusterName"], entry["principalArn"]]
        return EmptyResult()

    # --- pod identity ---

    def create_pod_identity_association(self) -> ActionResult:
        """Give a service account a role.

        Raises:
            ResourceInUseException: the service account has one.
        """
        given, cluster, store = self.params_given, self._cluster(), self.box_backend.pod_identities
        pair = (cluster, given["namespace"], given["serviceAccount"])
        if any((a["clusterName"], a["namespace"], a["serviceAccount"]) == pair for a in store.values()):
            message = "Association already exists for the service account."
            raise ResourceInUseException(clusterName=None, nodegroupName=None, addonName=None, message=message)
        now, key = world.current().now(), "a-" + mock_random.get_random_hex(17)
        arn = f"arn:aws:eks:{self.region}:{self.current_account}:podidentityassociation/{cluster}/{key}"
        association = store[key] = {
            "clusterName": cluster,
            "namespace": given["namespace"],
            "serviceAccount": given["serviceAccount"],
            "roleArn": given["roleArn"],
            "associationArn": arn,
            "associationId": key,
            "tags": given.get("tags") or {},
            "createdAt": now,
            "modifiedAt": now,
        }
        return ActionResult({"association": association})

    def list_pod_identity_associations(self) -> ActionResult:
        """The associations of a cluster, by namespace and service account if asked."""
        cluster, given = self._cluster(), self.params_given
        rows = [
            association
            for association in self.box_backend.pod_identities.values()
            if association["clusterName"] == cluster
            and all(association[k] == given[k] for k in ("namespace", "serviceAccount") if given.get(k))
        ]
        return ActionResult({"associations": rows})

    def describe_pod_identity_association(self) -> ActionResult:
        """One association."""
        return ActionResult({"association": self._association()})

    def delete_pod_identity_association(self) -> ActionResult:
        """Take a service account's role away."""
        association = self._association()
        del self.box_backend.pod_identities[association["associationId"]]
        return ActionResult({"association": association})

    def update_pod_identity_association(self) -> ActionResult:
        """Give a service account another role."""
        association = self._association()
        association["roleArn"] = self.params_given.get("roleArn") or association["roleArn"]
        return ActionResult({"association": association})

    # --- add-ons ---

    def create_addon(self) -> ActionResult:
        """Give a cluster an add-on."""
        prefix = f"arn:aws:eks:{self.region}:{self.current_account}"
        return self.box_backend.addons.create(self._cluster(), self.params_given, prefix=prefix)

    def describe_addon(self) -> ActionResult:
        """One add-on of a cluster."""
        return self.box_backend.addons.describe(self._cluster(), self.params_given["addonName"])

    def list_addons(self) -> ActionResult:
        """A cluster's add-ons."""
        return self.box_backend.addons.listed(self._cluster())

    def delete_addon(self) -> ActionResult:
        """Take an add-on away."""
        return self.box_backend.addons.delete(self._cluster(), self.params_given["addonName"])

    def _cluster(self) -> str:
        name = str(self.params_given["clusterName"])
        self.box_backend.describe_cluster(name)
        return name

    def _entry(self) -> dict[str, Any]:
        found = self.box_backend.access_entries.get((self._cluster(), self.params_given["principalArn"]))
        return _found(
            found, "The specified principalArn could not be found. You can view your available access entries."
        )

    def _association(self) -> dict[str, Any]:
        self._cluster()
        return _found(self.box_backend.pod_identities.get(self.params_given["associationId"]), "No association found.")


def _groups(kind: str | None) -> list[str]:
    return ["system:nodes"] if kind in {"EC2_LINUX", "EC2_WINDOWS"} else []


def _found(entry: dict[str, Any] | None, message: str) -> dict[str, Any]:
    if entry is None:
        raise ResourceNotFoundException(
            clusterName=None, nodegroupName=None, fargateProfileName=None, addonName=None, message=message
        )
    return entry
