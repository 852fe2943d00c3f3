"""PostgreSQL and Valkey of our own, for a machine that has neither.

What is found where, as whom it runs and with which settings. Nothing here keeps a process:
the supervisor does, or whoever asks for the command line.
"""

from __future__ import annotations

from app.embedded.locate import EmbeddedServerError
from app.embedded.postgres import EmbeddedPostgres
from app.embedded.valkey import EmbeddedValkey

__all__ = ["EmbeddedPostgres", "EmbeddedServerError", "EmbeddedValkey"]
