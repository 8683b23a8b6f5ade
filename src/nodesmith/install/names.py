"""What the AWS side of a cluster's set-up is called. The names are the ones that people's manifests and values use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DISCOVERY: Final = "karpenter.sh/discovery"
OWNER: Final = "nodesmith:installed-for"
"""The tag on everything that a step made; its value is the cluster."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names and ARNs for one cluster. `issuer` is its OIDC issuer's URL."""

    cluster: str
    account: str
    region: str
    issuer: str
    partition: str = "aws"
    namespace: str = "kube-system"
    service_account: str = "karpenter"

    @property
    def node_role(self) -> str:
        """The role of the nodes."""
        return f"KarpenterNodeRole-{self.cluster}"

    @property
    def controller_role(self) -> str:
        """The role of the controller."""
        return f"KarpenterControllerRole-{self.cluster}"

    @property
    def queue(self) -> str:
        """The queue of interruptions."""
        return f"Karpenter-{self.cluster}-SpotInterruptionQueue"

    @property
    def queue_arn(self) -> str:
        """The queue's ARN."""
        return f"arn:{self.partition}:sqs:{self.region}:{self.account}:{self.queue}"

    @property
    def cluster_arn(self) -> str:
        """The cluster's ARN."""
        return f"arn:{self.partition}:eks:{self.region}:{self.account}:cluster/{self.cluster}"

    @property
    def issuer_path(self) -> str:
        """The issuer without its scheme, as IAM writes it."""
        return self.issuer.removeprefix("https://")

    @property
    def issuer_arn(self) -> str:
        """The OIDC provider's ARN."""
        return f"arn:{self.partition}:iam::{self.account}:oidc-provider/{self.issuer_path}"

    def role_arn(self, role: str) -> str:
        """A role's ARN."""
        return f"arn:{self.partition}:iam::{self.account}:role/{role}"

    def policy_arn(self, policy: str) -> str:
        """The ARN of a policy of this account."""
        return f"arn:{self.partition}:iam::{self.account}:policy/{policy}"

    def tags(self) -> list[dict[str, str]]:
        """The mark of what was made for the cluster."""
        return [{"Key": OWNER, "Value": self.cluster}]
