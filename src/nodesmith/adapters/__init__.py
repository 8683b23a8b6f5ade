"""The outside, each part in a pure half (shapes) and an I/O half (client)."""
