"""Amazon Linux 2: a shell script that calls EKS' bootstrap.sh."""

from __future__ import annotations

from nodesmith.adapters.aws.userdata.bootstrap import Bootstrap
from nodesmith.adapters.aws.userdata.flags import kubelet_flags
from nodesmith.adapters.aws.userdata.mime import SHELL, Part, is_archive, read_archive, write_archive


def render_al2(bootstrap: Bootstrap) -> str:
    """The archive: the NodeClass' own parts, then the bootstrap script.

    Raises:
        UserDataError: when the NodeClass' own user data begins like an archive and is none.
    """
    parts: list[Part] = []
    if bootstrap.custom:
        is_mime = is_archive(bootstrap.custom)
        parts = read_archive(bootstrap.custom) if is_mime else [Part(SHELL, bootstrap.custom)]
    return write_archive([*parts, Part(SHELL, _script(bootstrap))]).replace("\r", "")


def _script(bootstrap: Bootstrap) -> str:
    cluster = bootstrap.cluster
    authority = f"--b64-cluster-ca '{cluster.ca_bundle}'" if cluster.ca_bundle else ""
    dns = (bootstrap.kubelet.cluster_dns or ("",))[0]
    steps = [
        f"/etc/eks/bootstrap.sh '{cluster.name}' --apiserver-endpoint '{cluster.endpoint}' {authority}",
        "--ip-family ipv6" if cluster.is_ipv6 else "",
        f"--dns-cluster-ip '{dns}'" if dns else "",
        "--use-max-pods false",
        f"--kubelet-extra-args '{kubelet_flags(bootstrap)}'",
        "--local-disks raid0" if bootstrap.is_raid else "",
    ]
    return (
        "#!/bin/bash -xe\n"
        "exec > >(tee /var/log/user-data.log|logger -t user-data -s 2>/dev/console) 2>&1\n"
        + " \\\n".join(step for step in steps if step)
    )
