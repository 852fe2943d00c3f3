"""The schema. Operators query these tables by hand, so names stay.

Whoever asks for the metadata gets it here, where every table is known to it.
"""

from __future__ import annotations

from app.store.tables.access import audit, secrets, tokens
from app.store.tables.documents import flow_versions, flows
from app.store.tables.execution import executions
from app.store.tables.ownership import claims, recoveries, slots, workers
from app.store.tables.progress import EVENTS_VIEW, checkpoints, event_batches, resolutions
from app.store.tables.requests import bulk_commands, idempotency_keys, signals
from app.store.tables.schema import metadata
from app.store.tables.upkeep import beat, deletions

__all__ = [
    "EVENTS_VIEW",
    "audit",
    "beat",
    "bulk_commands",
    "checkpoints",
    "claims",
    "deletions",
    "event_batches",
    "executions",
    "flow_versions",
    "flows",
    "idempotency_keys",
    "metadata",
    "recoveries",
    "resolutions",
    "secrets",
    "signals",
    "slots",
    "tokens",
    "workers",
]
