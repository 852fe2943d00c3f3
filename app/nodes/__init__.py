"""How a node is written (the SDK) and the nodes that come with the engine."""
