"""What goes into the store and comes out of it: plain records, no SQL."""

from __future__ import annotations

from app.store.records.boundary import (
    Boundary,
    CheckpointRow,
    Ending,
    Pausing,
    Progress,
    ResolutionRow,
)
from app.store.records.children import ChildRow, EndedChild, EndedNode, Family, NewChild
from app.store.records.creation import Fork, NewExecution
from app.store.records.effects import Effect, Told
from app.store.records.outcomes import Parked, Recalled, Void, Woken, Written
from app.store.records.ownership import Claimed, Fence, Recovered, Renewed, Request, WorkerRow
from app.store.records.restoring import RESOLVED, SignalTaken, StoredCheckpoint
from app.store.records.retention import Deleted, Place
from app.store.records.steps import ClaimedStep, Overdue, SentStep

__all__ = [
    "RESOLVED",
    "Boundary",
    "CheckpointRow",
    "ChildRow",
    "Claimed",
    "ClaimedStep",
    "Deleted",
    "Effect",
    "EndedChild",
    "EndedNode",
    "Ending",
    "Family",
    "Fence",
    "Fork",
    "NewChild",
    "NewExecution",
    "Overdue",
    "Parked",
    "Pausing",
    "Place",
    "Progress",
    "Recalled",
    "Recovered",
    "Renewed",
    "Request",
    "ResolutionRow",
    "SentStep",
    "SignalTaken",
    "StoredCheckpoint",
    "Told",
    "Void",
    "Woken",
    "WorkerRow",
    "Written",
]
