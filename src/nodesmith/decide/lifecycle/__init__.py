"""The next step of a NodeClaim or Node: launch, join, drain, go."""
