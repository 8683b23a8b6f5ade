"""What the AWS adapter is told once, by its composition root; names and defaults are upstream's options (spec 8.1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """The cluster, as AWS and its nodes know it, and how to look at AWS. Empty texts: asked of EKS."""

    cluster_name: str
    region: str
    cluster_endpoint: str = ""
    ca_bundle: str = ""
    """Base64 of the API server's certificate authority."""
    dns_ip: str = ""
    """The cluster DNS service's address; where it is empty, the tenth address of the service range."""
    service_cidr: str = ""
    kubernetes_version: str = ""
    """`1.35`; asked of EKS every five minutes where it is empty."""
    interruption_queue: str = ""
    is_isolated_vpc: bool = False
    """No public endpoints: prices are not asked for, instance profiles must be given."""
    vm_memory_overhead_percent: float = 0.075
    reserved_enis: int = 0
    is_dry_run_disabled: bool = False
    is_zonal_shift_enabled: bool = False
    is_reserved_capacity_enabled: bool = True
    is_cel_enabled: bool = False
    """Whether kubelet settings may be expressions (the gate NodeClassCEL)."""
    image_refresh: timedelta = timedelta(minutes=1)
    subnet_refresh: timedelta = timedelta(minutes=1)
    security_group_refresh: timedelta = timedelta(minutes=1)
