# Generated from src/nodesmith/install by tools/generate.py; do not edit.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_eks_cluster" "this" {
  name = var.cluster_name
}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = split(":", data.aws_eks_cluster.this.arn)[3]
  issuer    = replace(data.aws_eks_cluster.this.identity[0].oidc[0].issuer, "https://", "")
}
