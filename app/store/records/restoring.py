"""What a resuming run reads of what it came to before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

#: The status of an output that a running node gave, among the statuses of checkpoints.
RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A checkpoint, or a resolution (of status `resolved`), as a resuming run reads it.

    `retry_in_ms` is what is left until `retry_at`, below zero once that has passed.
    """

    node_id: str
    seq: int
    status: str
    attempt: int
    outputs: str | None
    error: str | None
    retry_at: datetime | None
    retry_in_ms: int | None


@dataclass(frozen=True, slots=True)
class SignalTaken:
    """How a node's wait for a signal ended: with what was sent (JSON text), or by its time."""

    node_id: str
    payload: str | None
    timed_out: bool
    waited_ms: int
