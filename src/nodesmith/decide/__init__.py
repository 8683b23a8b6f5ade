"""Decisions: pure functions from values to plans. No await, no clock, no log, no chance."""
