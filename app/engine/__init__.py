"""How a plan advances: values in, decisions out. Pure: no I/O, no clock, no globals.

Given a plan, the inputs and the checkpoints in the order in which they were written, an
engine is always in the same state; so a crash is a restart with fewer checkpoints.
"""

from __future__ import annotations

from app.engine.engine import Engine
from app.engine.state import (
    Checkpoint,
    Completion,
    Failure,
    NodeFailure,
    NodeStatus,
    Record,
    Resolution,
    RunOptions,
    Start,
    Verdict,
)
from app.engine.wiring import Wiring

__all__ = [
    "Checkpoint",
    "Completion",
    "Engine",
    "Failure",
    "NodeFailure",
    "NodeStatus",
    "Record",
    "Resolution",
    "RunOptions",
    "Start",
    "Verdict",
    "Wiring",
]
