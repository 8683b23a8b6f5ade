"""Which nodes leave, and how they do it without a pod noticing more than it must."""
