"""What a reader of events needs of the log that has them all. PostgreSQL is one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from app.events.types import TERMINAL
from app.events.wire import type_of

#: The final status that each terminal event tells.
STATUS_AT_END: Mapping[str, str] = {str(each): each.removeprefix("execution:") for each in TERMINAL}


def status_told(envelope: bytes) -> str | None:
    """The final status that an event tells, given its wire form; None if it isn't the end."""
    return STATUS_AT_END.get(type_of(envelope))


FINAL_STATUSES = frozenset(STATUS_AT_END.values())


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it was committed; `envelope` is its wire form."""

    index: int
    type: str
    envelope: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """How far an execution's log reaches, what became of the execution, and whose it is."""

    last_event_index: int
    status: str
    owner_id: str

    @property
    def is_final(self) -> bool:
        """Whether the log will grow no more."""
        return self.status in FINAL_STATUSES


class EventSource(Protocol):
    """The log of all executions. Every method may raise StoreUnavailable."""

    def read(
        self,
        execution_id: str,
        from_index: int,
        limit: int,
        types: Collection[str] | None = None,
        *,
        up_to: int | None = None,
    ) -> list[StoredEvent]:
        """Read events from an index on, in order; only those of the types, if given."""
        ...

    def heads(self, execution_ids: Collection[str]) -> dict[str, Head]:
        """Where the logs of these executions end; what doesn't exist is left out."""
        ...

    def head(self, execution_id: str) -> Head | None:
        """Where the log of one execution ends; None if there is no such execution."""
        ...
