"""NodePools and their NodeClasses: what their status says, and the nodes of static pools."""
