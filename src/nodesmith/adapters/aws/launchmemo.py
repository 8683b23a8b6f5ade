"""Claims that are alike are worked out once: a hundred claims of one deployment come at once and ask for the same.

Everything here follows from values, so what is remembered is never wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from nodesmith.adapters.aws.names import EFA, ENCLAVE
from nodesmith.adapters.aws.offers import Catalogue
from nodesmith.adapters.aws.planlaunch import Chosen, Frame, LaunchPlan, choose_of, plan_launch
from nodesmith.adapters.aws.selection import Candidate, candidates_for
from nodesmith.api.ec2nodeclass import EC2NodeClass
from nodesmith.model.labels import MIN_VALUES_RELAXED, PRICE_OVERLAY_APPLIED
from nodesmith.model.nodeclaim import NodeClaim
from nodesmith.model.requirements import Requirement

MOST: Final = 1000
"""So many answers are kept; then all are forgotten."""

_Requirements = frozenset[Requirement]


@dataclass(slots=True)
class _Kept:
    """What was worked out on one catalogue of a NodeClass."""

    catalogue: Catalogue
    allowed: dict[_Requirements, list[Candidate]] = field(default_factory=dict)
    chosen: dict[tuple[object, ...], Chosen] = field(default_factory=dict)

    @property
    def is_full(self) -> bool:
        return max(len(self.allowed), len(self.chosen)) >= MOST


class LaunchMemo:
    """What to ask for and how, by claim; as `choose` and `plan_launch` have it."""

    def __init__(self) -> None:
        self._by_class: dict[str, _Kept] = {}
        # Keys name a choice and a NodeClass by identity, so both are held as long as the key is.
        self._plans: dict[tuple[object, ...], tuple[LaunchPlan, Chosen, EC2NodeClass]] = {}

    def choose(self, claim: NodeClaim, node_class: EC2NodeClass, catalogue: Catalogue) -> Chosen:
        """What to ask for.

        Raises:
            CapacityUnavailable: when no type that the claim allows can be had.
        """
        kept = self._kept(node_class, catalogue)
        wanted = frozenset(claim.requirements)
        key = (wanted, tuple(sorted(claim.requests.items())))
        if key not in kept.chosen:
            if wanted not in kept.allowed:
                kept.allowed[wanted] = candidates_for(claim.requirements, catalogue.types)
            kept.chosen[key] = choose_of(claim, kept.allowed[wanted])
        return kept.chosen[key]

    def plan(
        self, claim: NodeClaim, node_class: EC2NodeClass, chosen: Chosen, frame: Frame, subnets: Mapping[str, str]
    ) -> LaunchPlan:
        """The launch in the subnets, by zone; `chosen` is what `choose` answered.

        Raises:
            CapacityUnavailable: when no offering is left to ask for.
            NodeClassNotReady: when the service range is not known.
            CreateFailed: when the user data cannot be made.
        """
        key = (id(chosen), id(node_class), frame.cluster, *sorted(subnets.items()), *_what_plans_look_at(claim))
        if key not in self._plans:
            if len(self._plans) >= MOST:
                self._plans.clear()
            self._plans[key] = (plan_launch(claim, node_class, chosen, frame, subnets), chosen, node_class)
        return self._plans[key][0]

    def _kept(self, node_class: EC2NodeClass, catalogue: Catalogue) -> _Kept:
        kept = self._by_class.get(node_class.name)
        if kept is None or kept.catalogue is not catalogue or kept.is_full:
            kept = self._by_class[node_class.name] = _Kept(catalogue)
        return kept


def _what_plans_look_at(claim: NodeClaim) -> tuple[object, ...]:
    """Of the claim, all that `plan_launch` reads beside what was chosen for it."""
    annotations = claim.meta.annotations
    return (
        tuple(sorted(claim.labels.items())),
        claim.taints,
        claim.startup_taints,
        claim.requests.get(EFA),
        claim.requests.get(ENCLAVE),
        annotations.get(MIN_VALUES_RELAXED),
        annotations.get(PRICE_OVERLAY_APPLIED),
    )
