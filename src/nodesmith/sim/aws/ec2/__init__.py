"""EC2 as Karpenter uses it: fleets that choose, instances that take time, catalogues that answer fast."""
