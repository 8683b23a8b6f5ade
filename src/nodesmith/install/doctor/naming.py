"""Names by which parts of a set-up are recognised, where nobody chose others."""

from __future__ import annotations

from typing import Final

from nodesmith.adapters.kubernetes.lease import LeaseTerms

LEASE: Final = LeaseTerms().name
NAMESPACE: Final = "kube-system"
SERVICE_ACCOUNT: Final = "karpenter"
