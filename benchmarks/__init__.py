"""How fast it is: one file per budget, run by `python -m benchmarks`, never a test.

Everything is measured on the project's own stack over scratch servers, fsync on, on this
machine: a peer, if asked for, runs on the same PostgreSQL server, turn by turn with us.
"""
