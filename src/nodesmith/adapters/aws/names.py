"""Names that AWS and Karpenter agreed on: tag keys, extended resources, limits (spec 1.1, 7.10)."""

from __future__ import annotations

from typing import Final

NVIDIA_GPU: Final = "nvidia.com/gpu"
AMD_GPU: Final = "amd.com/gpu"
GAUDI: Final = "habana.ai/gaudi"
NEURON: Final = "aws.amazon.com/neuron"
NEURON_CORE: Final = "aws.amazon.com/neuroncore"
POD_ENI: Final = "vpc.amazonaws.com/pod-eni"
PRIVATE_IPV4: Final = "vpc.amazonaws.com/PrivateIPv4Address"
EFA: Final = "vpc.amazonaws.com/efa"
ENCLAVE: Final = "eks.amazonaws.com/nip-slots"

EXOTIC_RESOURCES: Final = (NVIDIA_GPU, AMD_GPU, GAUDI, NEURON)
"""Hardware that a pod must ask for: such types are bought only when nothing plain will do (spec 7.8)."""

TAG_NAME: Final = "Name"
TAG_CLUSTER: Final = "eks:eks-cluster-name"
TAG_NODEPOOL: Final = "karpenter.sh/nodepool"
TAG_NODECLAIM: Final = "karpenter.sh/nodeclaim"
TAG_NODECLASS: Final = "karpenter.k8s.aws/ec2nodeclass"
TAG_REGION: Final = "topology.kubernetes.io/region"
TAG_LAUNCHED_FOR: Final = "nodesmith/launched-for"
"""The NodeClaims that one CreateFleet call launched for, separated by blanks: how a launch finds what it has made."""

LAUNCH_TEMPLATE_PREFIX: Final = "karpenter.k8s.aws"

MIB: Final = 2**20
GIB: Final = 2**30


def tag_owner(cluster: str) -> str:
    """The tag key that says the cluster owns something; its value is `owned`."""
    return f"kubernetes.io/cluster/{cluster}"
