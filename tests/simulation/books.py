"""What a store says of an execution, as far as its invariants are about it."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, NamedTuple, Protocol


class Violation(AssertionError):
    """A promise was broken."""


class State(NamedTuple):
    """The columns of an execution's row that tell who may do what."""

    status: str
    completed_at: Any
    epoch: int
    writes: int
    wake: int
    last_event_index: int
    processing_worker_id: str | None
    runnable_at: Any
    wake_at: Any
    waiting: Any
    requested: str | None
    start_requested_at: Any
    parent_execution_id: str | None
    child_state: str | None

    @property
    def is_final(self) -> bool:
        return self.completed_at is not None

    @property
    def waits(self) -> bool:
        """Begun, and neither run, nor to be run, nor over."""
        return (
            self.start_requested_at is not None
            and self.processing_worker_id is None
            and self.runnable_at is None
            and self.completed_at is None
        )

    @property
    def is_parked(self) -> bool:
        """It waits for something else than a caller."""
        return self.waits and self.status == "running"


class SignalRow(NamedTuple):
    """A signal, or the end of a wait by its time; `payload` numbers what was sent."""

    id: int
    payload: int | None
    node_id: str | None
    taken_at: Any
    timed_out: bool


class StepClaim(NamedTuple):
    """The claim of a sent step."""

    node_id: str
    attempt: int
    epoch: int
    status: str
    has_result: bool


#: Reads them from a row.
COLUMNS = attrgetter(*State._fields)


class Books(Protocol):
    """A store, looked at from beside."""

    def states(self) -> dict[str, State]:
        """Every execution."""
        ...

    def batches(self, execution_id: str, after: int) -> list[tuple[int, list[str], Any]]:
        """Batches that begin after an index, in order: first index, types, data."""
        ...

    def checkpoints(self, execution_id: str) -> dict[str, tuple[str, int]]:
        """Status and attempt by node."""
        ...

    def steps(self, execution_id: str) -> list[StepClaim]:
        """The claims of its sent steps."""
        ...

    def signals(self, execution_id: str) -> list[SignalRow]:
        """What was sent to it, in the order of arrival."""
        ...
