"""The life of an execution: what the API does to it, and how a worker runs it."""
