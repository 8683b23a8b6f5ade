"""Amazon Linux 2023: nodeadm's NodeConfig. nodeadm merges the documents it finds, the last wins, and ours is last."""

from __future__ import annotations

from typing import Any, Final

import yaml

from nodesmith.adapters.aws.userdata.bootstrap import Bootstrap, UserDataError
from nodesmith.adapters.aws.userdata.mime import NODE_CONFIG, SHELL, Part, is_archive, read_archive, write_archive
from nodesmith.api.wire.base import to_json

# libyaml's writer where there is one: user data is made for every claim, and Python's takes a hundredth of a second.
_DUMPER: Final[Any] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def render_al2023(bootstrap: Bootstrap) -> str:
    """The archive: the NodeClass' own parts, then our NodeConfig.

    Raises:
        UserDataError: when the service range is not known, or the NodeClass' own archive cannot be read.
    """
    if not bootstrap.cluster.cidr:
        raise UserDataError("generating NodeConfig, resolving cluster CIDR")
    config = "# Karpenter Generated NodeConfig\n" + yaml.dump(_node_config(bootstrap), Dumper=_DUMPER, width=2**20)
    return write_archive([*_custom_parts(bootstrap.custom), Part(NODE_CONFIG, config)])


def _custom_parts(custom: str) -> list[Part]:
    if not custom:
        return []
    if is_archive(custom):
        return read_archive(custom)
    return [Part(NODE_CONFIG if _is_document(custom) else SHELL, custom)]


def _is_document(text: str) -> bool:
    """Whether the text is YAML of a mapping, or of nothing: then nodeadm is to read it, else a shell."""
    try:
        return yaml.safe_load(text) is None or isinstance(yaml.safe_load(text), dict)
    except yaml.YAMLError:
        return False


def _node_config(bootstrap: Bootstrap) -> dict[str, Any]:
    cluster = {
        "apiServerEndpoint": bootstrap.cluster.endpoint,
        "certificateAuthority": bootstrap.cluster.ca_bundle,
        "cidr": bootstrap.cluster.cidr,
        "name": bootstrap.cluster.name,
    }
    return {
        "apiVersion": "node.eks.aws/v1alpha1",
        "kind": "NodeConfig",
        "metadata": {},
        "spec": {
            "cluster": {key: value for key, value in cluster.items() if value},
            "containerd": {},
            "instance": {"localStorage": {"strategy": "RAID0"} if bootstrap.is_raid else {}},
            "kubelet": {
                "config": _kubelet(bootstrap),
                "flags": [f'--node-labels="{bootstrap.node_labels}"'],
            },
        },
    }


def _kubelet(bootstrap: Bootstrap) -> dict[str, Any]:
    config = {**bootstrap.passed_on, **to_json(bootstrap.kubelet)}
    config["registerWithTaints"] = [
        {"effect": taint.effect, "key": taint.key} | ({"value": taint.value} if taint.value else {})
        for taint in bootstrap.taints
    ]
    return config
