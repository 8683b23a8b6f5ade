"""A node autoscaler for Kubernetes on AWS, API-compatible with Karpenter v1."""
