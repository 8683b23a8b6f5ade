"""Nodes that leave, and nodes that are sick."""
