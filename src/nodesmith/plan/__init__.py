"""Decisions as data: what goes where, what is bought, what leaves, and why not."""
