"""Names by which parts of a set-up are recognised."""

from __future__ import annotations

from typing import Final

ROLE_ANNOTATION: Final = "eks.amazonaws.com/role-arn"
POD_IDENTITY_AGENT: Final = "eks-pod-identity-agent"
LEASE: Final = "karpenter-leader-election"
NAMESPACE: Final = "kube-system"
SERVICE_ACCOUNT: Final = "karpenter"
