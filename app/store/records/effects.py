"""What a statement did beside the run: what it told, and who is to hear of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Told:
    """Events that a statement wrote beside the run: (type, data as JSON text), of one time."""

    first_index: int
    at: datetime
    events: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Effect:
    """What a command did to an execution: what it told, and the processes that are to hear of it.

    Neither where it changed nothing, because the same was requested before.
    """

    execution_id: str
    told: Told | None = None
    owners: Sequence[str] = ()
