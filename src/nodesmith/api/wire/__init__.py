"""The manifests' JSON as typed structs: what decodes them, and what CRDs and reference pages are made from."""
