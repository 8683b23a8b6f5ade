"""The story's manifests: the user's, word for word, and what runs on his cluster."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from string import Template
from typing import Any, Final

import yaml

NODE_POOL: Final = "nodepool.yaml"
EC2_NODE_CLASS: Final = "ec2nodeclass.yaml"
WORKLOAD: Final = "web.yaml"
DAEMONS: Final = "daemons.yaml"


def text(name: str) -> str:
    """The file as it was written."""
    return files(__package__).joinpath("manifests", name).read_text(encoding="utf-8")


def documents(written: str, values: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """The objects of a file, with its `${NAMES}` filled in."""
    return list(yaml.safe_load_all(Template(written).safe_substitute(values or {})))
