"""Which servers the tests run on: those that the project embeds, or as the environment says."""

from __future__ import annotations

import os
from pathlib import Path


def _told(variable: str) -> Path | None:
    told = os.environ.get(variable)
    return Path(told) if told else None


PG_BIN, VALKEY_BIN = _told("PG_BIN"), _told("VALKEY_BIN")
#: None: what runs on a PgBouncer isn't run.
PGBOUNCER_BIN = _told("PGBOUNCER_BIN")
