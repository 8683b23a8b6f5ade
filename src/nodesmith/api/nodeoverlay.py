"""NodeOverlay (karpenter.sh/v1alpha1): JSON to the model value."""

from __future__ import annotations

from decimal import InvalidOperation

from nodesmith.api.kind import Manifest
from nodesmith.api.meta import conditions_of, meta_of
from nodesmith.api.scalars import amounts_of, requirements_of
from nodesmith.model.money import UsdPerHour
from nodesmith.model.overlay import NodeOverlay, PriceChange


def decode_node_overlay(manifest: Manifest) -> NodeOverlay:
    """The NodeOverlay of a manifest; a price that cannot be read changes none."""
    spec: Manifest = manifest.get("spec") or {}
    status: Manifest = manifest.get("status") or {}
    return NodeOverlay(
        meta=meta_of(manifest),
        requirements=requirements_of(spec.get("requirements")),
        change=_change(spec),
        capacity=amounts_of(spec.get("capacity")),
        weight=spec.get("weight") or 0,
        conditions=conditions_of(status.get("conditions")),
    )


def _change(spec: Manifest) -> PriceChange | None:
    price, adjustment = spec.get("price"), spec.get("priceAdjustment")
    try:
        if price is not None:
            return PriceChange(price=UsdPerHour.of(price))
        return PriceChange.adjusting(adjustment) if adjustment is not None else None
    except (ValueError, InvalidOperation):
        return None
