"""Where pods go: nodes that are there, machines to buy, or nowhere and why."""
