"""What the parts of a set-up are called. The names are the ones that people's manifests and values use.

The one thing to know: a name is cut to what AWS allows and made unique again, so ask `Names`, never put one together.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from nodesmith.api.bar import INSTALLED_FOR

DISCOVERY: Final = "karpenter.sh/discovery"
OWNER: Final = "nodesmith:installed-for"
"""The tag on everything that a step made in AWS; its value is the cluster."""

MARK: Final = INSTALLED_FOR
"""The annotation on everything that a step made in Kubernetes; its value is the cluster."""

ROLE_LIMIT: Final = 64
QUEUE_LIMIT: Final = 80
RULE_LIMIT: Final = 64
_DIGEST: Final = 8


@dataclass(frozen=True, slots=True)
class Names:
    """Names and ARNs for one cluster. `issuer` is its OIDC issuer's URL; the last three are what others chose."""

    cluster: str
    account: str
    region: str
    issuer: str
    partition: str = "aws"
    namespace: str = "kube-system"
    service_account: str = "karpenter"
    chosen_node_role: str = ""
    chosen_controller_role: str = ""
    chosen_queue: str = ""

    @property
    def node_role(self) -> str:
        """The role of the nodes."""
        return self.chosen_node_role or fitting("KarpenterNodeRole-", self.cluster, "", ROLE_LIMIT)

    @property
    def controller_role(self) -> str:
        """The role of the controller."""
        return self.chosen_controller_role or fitting("KarpenterControllerRole-", self.cluster, "", ROLE_LIMIT)

    @property
    def queue(self) -> str:
        """The queue of interruptions."""
        return self.chosen_queue or fitting("Karpenter-", self.cluster, "-SpotInterruptionQueue", QUEUE_LIMIT)

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

    def rule(self, part: str) -> str:
        """An EventBridge rule."""
        return fitting("Karpenter-", self.cluster, f"-{part}", RULE_LIMIT)

    def role_arn(self, role: str) -> str:
        """A role's ARN."""
        return f"arn:{self.partition}:iam::{self.account}:role/{role}"

    def policy_arn(self, policy: str) -> str:
        """The ARN of a policy of this account."""
        return f"arn:{self.partition}:iam::{self.account}:policy/{policy}"

    def tags(self) -> list[dict[str, str]]:
        """The mark of what was made for the cluster, as most of AWS takes it."""
        return [{"Key": OWNER, "Value": self.cluster}]


def fitting(before: str, cluster: str, after: str, limit: int) -> str:
    """The name, with the cluster's part cut and told apart by a digest where it is longer than the limit."""
    whole = f"{before}{cluster}{after}"
    if len(whole) <= limit:
        return whole
    digest = hashlib.sha256(cluster.encode()).hexdigest()[:_DIGEST]
    room = limit - len(before) - len(after) - len(digest) - 1
    return f"{before}{cluster[:room]}-{digest}{after}"
