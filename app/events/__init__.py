"""Event types and their wire form: the single list of names. Pure."""
