"""The Terraform module and the CloudFormation template, from the installer's names and policies."""

from nodesmith.install.export.cloudformation import template
from nodesmith.install.export.terraform import module

OWNS = ("deploy/terraform/*.tf", "deploy/cloudformation/*.yaml")


def outputs() -> dict[str, str]:
    """All files of both."""
    files = {f"deploy/terraform/{name}": text for name, text in module().items()}
    return {**files, "deploy/cloudformation/nodesmith.yaml": template()}
