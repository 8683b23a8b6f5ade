"""Loops: when to look, and at what. They hold no policy."""
