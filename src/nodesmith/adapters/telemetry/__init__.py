"""Logs, metrics and health answers."""
