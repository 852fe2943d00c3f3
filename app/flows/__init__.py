"""The flow document: its models, import, validation, and the plan compiled from it. Pure."""
