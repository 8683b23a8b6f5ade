# Generated from src/nodesmith/install by tools/generate.py; do not edit.

output "node_role_name" {
  description = "For spec.role of an EC2NodeClass."
  value       = aws_iam_role.node.name
}

output "controller_role_arn" {
  description = "The controller's role."
  value       = aws_iam_role.controller.arn
}

output "queue_name" {
  description = "The queue of interruptions."
  value       = aws_sqs_queue.interruption.name
}

output "helm_values" {
  description = "A values file for the chart."
  value = yamlencode({
    serviceAccount = {
      annotations = {
        "eks.amazonaws.com/role-arn" = var.identity == "irsa" ? aws_iam_role.controller.arn : null
      }
    }
    settings = {
      clusterName       = var.cluster_name
      interruptionQueue = aws_sqs_queue.interruption.name
    }
  })
}

output "aws_auth_entry" {
  description = "What mapRoles of aws-auth needs without an access entry."
  value = yamlencode([
    {
      rolearn  = aws_iam_role.node.arn
      username = "system:node:{{EC2PrivateDNSName}}"
      groups   = ["system:bootstrappers", "system:nodes"]
    },
  ])
}
