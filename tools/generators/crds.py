"""The CustomResourceDefinitions of both charts, from the typed manifests."""

import yaml

from nodesmith.api.crd import all_crds

FOLDERS = ("charts/nodesmith-crd/files", "charts/nodesmith/crds")
OWNS = tuple(f"{folder}/*.yaml" for folder in FOLDERS)
HEAD = "# Generated from src/nodesmith/api/wire; do not edit.\n"


def outputs() -> dict[str, str]:
    """One file a kind, in each folder."""
    texts = {crd["metadata"]["name"]: HEAD + _yaml(crd) for crd in all_crds()}
    return {f"{folder}/{name}.yaml": text for folder in FOLDERS for name, text in texts.items()}


def _yaml(crd: dict[str, object]) -> str:
    return yaml.dump(crd, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Writes everything out: anchors would be hard to read."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True
