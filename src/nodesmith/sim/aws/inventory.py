"""What exists in the box, by kind, for the check that nothing is left behind."""

from __future__ import annotations

from typing import Any

from moto.eks.models import eks_backends
from moto.events.models import events_backends
from moto.iam.models import iam_backends
from moto.sqs.models import sqs_backends

from nodesmith.sim.aws.ec2.backend import backend_of

SERVICE_ROLES = "/aws-service-role/"


def take(account: str, region: str) -> dict[str, list[str]]:
    """Names or ids by kind; default networks, AWS's own policies and roles are left out."""
    ec2 = backend_of(region, account)
    iam: Any = iam_backends[account]["aws"]
    eks: Any = eks_backends[account][region]
    sqs: Any = sqs_backends[account][region]
    bus: Any = events_backends[account][region].describe_event_bus("default")
    found = {
        "instances": [i.id for i in ec2.living_instances()],
        "launch_templates": [t.name for t in ec2.launch_templates.values()],
        "volumes": list(ec2.volumes),
        "network_interfaces": list(ec2.enis),
        "capacity_reservations": [r.id for r in ec2.capacity_reservations.by_id.values() if r.state == "active"],
        "placement_groups": list(ec2.placement_groups),
        "instance_profiles": list(iam.instance_profiles),
        "roles": [r.name for r in iam.roles.values() if not r.path.startswith(SERVICE_ROLES)],
        "policies": [p.name for p in iam.managed_policies.values() if not p.arn.startswith("arn:aws:iam::aws:")],
        "oidc_providers": list(iam.open_id_providers),
        "queues": list(sqs.queues),
        "rules": list(bus.rules),
        "access_entries": [arn for _, arn in eks.access_entries],
        "pod_identities": list(eks.pod_identities),
        "clusters": list(eks.clusters),
    }
    return {kind: sorted(names) for kind, names in found.items()}
