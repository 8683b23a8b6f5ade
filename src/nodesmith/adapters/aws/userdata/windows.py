"""Windows: a PowerShell script that calls EKS' bootstrap script."""

from __future__ import annotations

from nodesmith.adapters.aws.userdata.bootstrap import Bootstrap
from nodesmith.adapters.aws.userdata.flags import kubelet_flags


def render_windows(bootstrap: Bootstrap) -> str:
    """The script: the NodeClass' own lines, then the bootstrap call."""
    cluster = bootstrap.cluster
    dns = (bootstrap.kubelet.cluster_dns or ("",))[0]
    arguments = [
        f"-EKSClusterName '{cluster.name}'",
        f"-APIServerEndpoint '{cluster.endpoint}'",
        f"-Base64ClusterCA '{cluster.ca_bundle}'" if cluster.ca_bundle else "",
        f"-KubeletExtraArgs '{kubelet_flags(bootstrap)}'",
        f"-DNSClusterIP '{dns}'" if dns else "",
    ]
    custom = f"{bootstrap.custom}\n" if bootstrap.custom else ""
    return (
        f"<powershell>\n{custom}"
        '[string]$EKSBootstrapScriptFile = "$env:ProgramFiles\\Amazon\\EKS\\Start-EKSBootstrap.ps1"\n'
        f"& $EKSBootstrapScriptFile {' '.join(each for each in arguments if each)}\n"
        "</powershell>"
    )
