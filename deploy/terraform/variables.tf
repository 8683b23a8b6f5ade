# Generated from src/nodesmith/install by tools/generate.py; do not edit.

variable "cluster_name" {
  description = "The EKS cluster's name."
  type        = string
}

variable "namespace" {
  description = "The controller's namespace."
  type        = string
  default     = "kube-system"
}

variable "service_account" {
  description = "The controller's service account."
  type        = string
  default     = "karpenter"
}

variable "identity" {
  description = "How the controller gets its role: irsa or pod-identity."
  type        = string
  default     = "irsa"

  validation {
    condition     = contains(["irsa", "pod-identity"], var.identity)
    error_message = "It is irsa or pod-identity."
  }
}

variable "create_oidc_provider" {
  description = "Whether IAM does not know the cluster's OIDC issuer yet."
  type        = bool
  default     = false
}

variable "create_spot_role" {
  description = "Whether the account has no service-linked role for EC2 Spot yet."
  type        = bool
  default     = false
}

variable "create_access_entry" {
  description = "Whether nodes are let in by an EKS access entry; without it, map aws_auth_entry in aws-auth."
  type        = bool
  default     = true
}

variable "create_pod_identity_agent" {
  description = "Whether the cluster has no pod identity agent yet; only with identity = pod-identity."
  type        = bool
  default     = false
}

variable "subnet_ids" {
  description = "The subnets of nodes, to be found by tag."
  type        = list(string)
  default     = []
}

variable "tags" {
  description = "Tags on everything that can have some."
  type        = map(string)
  default     = {}
}
