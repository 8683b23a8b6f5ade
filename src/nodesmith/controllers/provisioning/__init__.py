"""Machines for pods that wait for one."""
