"""The built-in nodes, one module per category; type ids and ports are ChainGraph's."""
