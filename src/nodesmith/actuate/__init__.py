"""From a plan to its effects, through ports; every effect may run twice."""
