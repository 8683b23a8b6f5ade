"""Which nodes leave: emptiness, drift, consolidation, within budgets."""
