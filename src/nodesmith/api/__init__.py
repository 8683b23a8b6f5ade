"""The manifests as users write them: fields, defaults, validation, and what they decode to."""
