"""Reads the facts: AWS by one client, Kubernetes by the Cluster port. Nothing is ever written."""
