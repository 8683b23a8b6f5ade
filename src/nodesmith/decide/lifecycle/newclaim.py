"""The NodeClaim that a planned purchase becomes (spec 3.9).

The name is chosen before the claim is made, so that a command can name its replacements before they exist. The pods
that a claim was planned for stand in an annotation: after a restart nobody buys for them again while it is launched.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from nodesmith.decide.disrupt.policy import REPLACES_FOR
from nodesmith.model.labels import (
    CAPACITY_OVERLAY_APPLIED,
    INSTANCE_TYPE,
    MIN_VALUES_RELAXED,
    NODECLASS,
    NODEPOOL,
    NODEPOOL_HASH,
    NODEPOOL_HASH_VERSION,
    NODEPOOL_HASH_VERSION_VALUE,
    PRICE_OVERLAY_APPLIED,
    TERMINATION_FINALIZER,
    WELL_KNOWN,
    is_restricted,
)
from nodesmith.model.meta import ObjectMeta, OwnerReference
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.nodepool import NodePool
from nodesmith.model.requirements import Requirement, Requirements
from nodesmith.plan.schedule import PlannedClaim

PLANNED_PODS: Final = "nodesmith.dev/planned-pods"
PURCHASED_AS: Final = "nodesmith.dev/decision"
OUR_ANNOTATIONS: Final = "nodesmith.dev/"
_POOL_API_VERSION: Final = "karpenter.sh/v1"


def claim_for(
    planned: PlannedClaim, pool: NodePool, *, name: str, decision_id: str, replaces_for: str = ""
) -> NodeClaim:
    """The claim of a planned purchase: the pool's template, narrowed to what was planned.

    Without instance types it is the template as it is, for the cloud to choose. `replaces_for` is the reason for which
    it takes the place of other nodes.
    """
    if not planned.instance_types:
        return claim_from_template(pool, name=name, decision_id=decision_id, replaces_for=replaces_for)
    listed = Requirement(
        INSTANCE_TYPE,
        frozenset(planned.instance_types),
        min_values=planned.requirements.get(INSTANCE_TYPE).min_values,
    )
    requirements = planned.requirements.without((INSTANCE_TYPE,)) & Requirements.of((listed,))
    annotations = {
        MIN_VALUES_RELAXED: "true" if planned.is_min_values_relaxed else "false",
        **({PRICE_OVERLAY_APPLIED: "true"} if planned.has_price_overlay else {}),
        **({CAPACITY_OVERLAY_APPLIED: "true"} if planned.has_capacity_overlay else {}),
        PLANNED_PODS: json.dumps(planned.pods, separators=(",", ":")),
        **_provenance(decision_id, replaces_for),
    }
    return _claim(pool, requirements, planned, name=name, annotations=annotations)


def claim_from_template(pool: NodePool, *, name: str, decision_id: str, replaces_for: str = "") -> NodeClaim:
    """A claim of a static pool: the template as it is, for the cloud to choose the type."""
    return _claim(pool, pool.requirements, None, name=name, annotations=_provenance(decision_id, replaces_for))


def planned_pods(claim: NodeClaim) -> frozenset[str]:
    """The keys of the pods that the claim was bought for; empty where nobody wrote them down."""
    try:
        keys = json.loads(claim.meta.annotations.get(PLANNED_PODS, "[]"))
    except ValueError:
        return frozenset()
    return frozenset(key for key in keys if isinstance(key, str)) if isinstance(keys, list) else frozenset()


def any_value(requirement: Requirement) -> str | None:
    """Some value that the requirement allows, always the same one; None when it wants the label not to be there."""
    if not requirement.complement:
        allowed = sorted(value for value in requirement.values if requirement.allows(value))
        return allowed[0] if allowed else None
    number = max(requirement.gte or 0, 0)
    while not requirement.allows(str(number)):
        number += 1
        if requirement.lte is not None and number > requirement.lte:
            return None
    return str(number)


def _provenance(decision_id: str, replaces_for: str) -> dict[str, str]:
    return {PURCHASED_AS: decision_id, **({REPLACES_FOR: replaces_for} if replaces_for else {})}


def _claim(
    pool: NodePool,
    requirements: Requirements,
    planned: PlannedClaim | None,
    *,
    name: str,
    annotations: Mapping[str, str],
) -> NodeClaim:
    fixed = {**pool.labels, NODEPOOL: pool.name, NODECLASS: pool.node_class.name}
    custom = {
        requirement.key: value
        for requirement in requirements
        if requirement.key not in WELL_KNOWN
        and not is_restricted(requirement.key)
        and (value := any_value(requirement)) is not None
    }
    meta = ObjectMeta(
        name=name,
        labels={**custom, **fixed},
        annotations={
            **pool.annotations,
            NODEPOOL_HASH: pool.static_hash,
            NODEPOOL_HASH_VERSION: NODEPOOL_HASH_VERSION_VALUE,
            **annotations,
        },
        finalizers=(TERMINATION_FINALIZER,),
        owners=(OwnerReference(_POOL_API_VERSION, "NodePool", pool.name, pool.meta.uid, block_owner_deletion=True),),
    )
    return NodeClaim(
        meta=meta,
        # The class stands in nodeClassRef and in the label; as a requirement the CRD refuses its key.
        requirements=(requirements & Requirements.from_labels(fixed)).without((NODECLASS,)),
        requests=planned.requests if planned is not None else {},
        taints=pool.taints,
        startup_taints=pool.startup_taints,
        node_class=pool.node_class,
        expire_after=pool.expire_after,
        termination_grace_period=pool.termination_grace_period,
    )
