"""What the suite writes."""

from __future__ import annotations

from typing import Any

from app.store.protocol import RunStore
from app.store.records import Boundary, CheckpointRow, Claimed, Ending, Progress, Written

LEASE_MS = 10_000


def checkpoint(node_id: str = "a", **more: Any) -> CheckpointRow:
    fields: dict[str, Any] = {
        "node_id": node_id,
        "seq": 0,
        "status": "completed",
        "attempt": 1,
        "execution_ms": 3,
        "outputs": '{"text":"Ada"}',
        "chosen": "[]",
        "error": None,
    }
    return CheckpointRow(**fields | more)


def boundary(*types: str, ending: Ending | None = None, **more: Any) -> Boundary:
    """A boundary with an event of each type."""
    events = [(type_, '{"nodeId":"a"}') for type_ in types]
    return Boundary(events=events, ending=ending, **more)


DONE = boundary(
    "flow:completed",
    "execution:completed",
    ending=Ending("completed"),
    progress=Progress(completed=1),
)


def claim(store: RunStore, execution_id: str | None, worker: str = "w1") -> Claimed:
    claimed = store.claim(worker, f"token of {worker}", LEASE_MS, execution_id)
    assert claimed is not None
    return claimed


def write(store: RunStore, claimed: Claimed, writes: int, what: Boundary) -> Written:
    written = store.write(claimed.fence, claimed.writes + writes, what)
    assert isinstance(written, Written)
    return written
