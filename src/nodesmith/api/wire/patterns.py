"""Which texts are allowed where (spec 1.1.3), and labels that users may not set (spec 1.1.2)."""

from __future__ import annotations

from typing import Final

from nodesmith.model.labels import AWS_GROUP, AWS_WELL_KNOWN, GROUP, NODECLASS

QUALIFIED_NAME: Final = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*(\/))?"
    r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$"
)
LABEL_VALUE: Final = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"
_NUMBER: Final = r"(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
QUANTITY: Final = rf"^(\+|-)?{_NUMBER}(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?{_NUMBER}))?$"
DURATION: Final = r"^([0-9]+(s|m|h))+$"
DURATION_OR_NEVER: Final = r"^(([0-9]+(s|m|h))+|Never)$"

LONGEST_KEY: Final = 316
LONGEST_VALUE: Final = 63
MOST_ENTRIES: Final = 100

KEY_HINT: Final = "a label key is NAME or DOMAIN/NAME, in letters, digits, `-`, `_` and `.`"
VALUE_HINT: Final = (
    "a label value has at most 63 letters, digits, `-`, `_` and `.`, and begins and ends with one of the first two"
)
QUANTITY_HINT: Final = "a quantity is a number with an optional suffix: 500m, 2, 1.5Gi"
DURATION_HINT: Final = "a duration is whole numbers of h, m and s: 30s, 10m, 1h30m"
DURATION_OR_NEVER_HINT: Final = f"{DURATION_HINT}, or Never"

AWS_KEYS_ALLOWED: Final = tuple(sorted(key for key in AWS_WELL_KNOWN if key.startswith(f"{AWS_GROUP}/")))
"""Keys of the AWS group that a NodePool may use as requirement."""

AWS_LABELS_ALLOWED: Final = (*AWS_KEYS_ALLOWED, NODECLASS)
"""The same as label of a template."""

CORE_KEYS_ALLOWED: Final = (f"{GROUP}/capacity-type", f"{GROUP}/nodepool")
"""Keys of the core group that a domain rule lets pass; other rules may refuse them."""


def is_in_domain(key: str, domain: str) -> bool:
    """Whether the key's prefix is the domain or below it."""
    prefix, slash, _ = key.partition("/")
    return bool(slash) and (prefix == domain or prefix.endswith(f".{domain}"))


def domain_cel(value: str, domain: str, allowed: tuple[str, ...]) -> str:
    """CEL: the key is not in the domain, or is one of those allowed."""
    escaped = domain.replace(".", "\\\\.")
    listed = ", ".join(f"'{key}'" for key in allowed)
    return f"{value} in [{listed}] || !{value}.matches('^([^/]*\\\\.)?{escaped}/')"
