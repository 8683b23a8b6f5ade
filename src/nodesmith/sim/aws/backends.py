"""Putting our backends in moto's places. `BackendDict.backend` is the class that moto makes per account and region."""

from __future__ import annotations

from typing import Any

from moto.ec2.models import ec2_backends
from moto.eks.models import eks_backends
from moto.iam.models import iam_backends
from moto.sqs.models import sqs_backends
from moto.ssm.models import ssm_backends

from nodesmith.sim.aws.ec2.backend import BoxEC2Backend
from nodesmith.sim.aws.eks import BoxEKSBackend
from nodesmith.sim.aws.iam import BoxIAMBackend
from nodesmith.sim.aws.sqs import BoxSQSBackend
from nodesmith.sim.aws.ssm import BoxSSMBackend


def install() -> None:
    """From now on moto builds our backends; what it built before is forgotten."""
    places: tuple[tuple[Any, type[Any]], ...] = (
        (ec2_backends, BoxEC2Backend),
        (eks_backends, BoxEKSBackend),
        (iam_backends, BoxIAMBackend),
        (sqs_backends, BoxSQSBackend),
        (ssm_backends, BoxSSMBackend),
    )
    for holder, backend in places:
        if holder.backend is not backend:
            holder.clear()
            holder.backend = backend
