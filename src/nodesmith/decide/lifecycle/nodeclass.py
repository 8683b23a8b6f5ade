"""The static hash of an EC2NodeClass in its annotations and in those of the claims launched from it (spec 1.6.4)."""

from __future__ import annotations

from collections.abc import Mapping

from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.api.nodeclasshash import VERSIONS
from nodesmith.model.labels import NODECLASS_HASH, NODECLASS_HASH_VERSION, NODECLASS_HASH_VERSION_VALUE
from nodesmith.model.nodeclaim import DRIFTED, NodeClaim


def node_class_annotations(node_class: EC2NodeClass, static_hash: str) -> Mapping[str, str]:
    """The annotations of the NodeClass that are missing or old."""
    wanted = _hashed(static_hash)
    return {key: value for key, value in wanted.items() if node_class.meta.annotations.get(key) != value}


def is_of_another_version(node_class: EC2NodeClass) -> bool:
    """Whether the NodeClass carries no hash, or one that was made in another way than ours."""
    return node_class.meta.annotations.get(NODECLASS_HASH_VERSION) != NODECLASS_HASH_VERSION_VALUE


def claim_annotations(claim: NodeClaim, static_hash: str) -> Mapping[str, str]:
    """What to annotate a claim with whose NodeClass had a hash of another version.

    A hash that can still be compared stays: it alone knows whether the claim has drifted since. Of the others only the
    version is renewed where the claim has drifted already.
    """
    version = claim.meta.annotations.get(NODECLASS_HASH_VERSION)
    if version in VERSIONS:
        return {}
    if claim.condition(DRIFTED) is not None:
        return {NODECLASS_HASH_VERSION: NODECLASS_HASH_VERSION_VALUE}
    return _hashed(static_hash)


def _hashed(static_hash: str) -> Mapping[str, str]:
    return {NODECLASS_HASH: static_hash, NODECLASS_HASH_VERSION: NODECLASS_HASH_VERSION_VALUE}
