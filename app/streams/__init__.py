"""Every Redis key, and what is written to and read from it. All of it may be lost."""
