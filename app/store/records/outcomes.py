"""What came of a guarded statement: done, void, or to be decided anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from app.store.records.effects import Effect
from app.store.records.ownership import Request


@dataclass(frozen=True, slots=True)
class Written:
    """The statement was done: the index of its first event, its time.

    `is_watched` says whether somebody may wait for its events: so it is where that isn't known.
    `stopped` is what it did to descendants of an execution that failed.
    """

    first_index: int
    at: datetime
    is_watched: bool = field(default=True, compare=False)
    stopped: Sequence[Effect] = ()


@dataclass(frozen=True, slots=True)
class Void:
    """Nothing was written: another owns the execution, or it is final."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """Nothing was written: something else is requested than the writer knew of."""

    request: Request | None


@dataclass(frozen=True, slots=True)
class Woken:
    """Not parked: something arrived since the run looked. `wake` is the new count."""

    wake: int


@dataclass(frozen=True, slots=True)
class Parked:
    """The execution waits and holds nothing."""
