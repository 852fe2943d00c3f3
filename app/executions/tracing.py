"""Traces of executions, for whoever collects them: one trace for each execution.

Its id follows from the execution's, and so do the ids of its first span and of those of its runs:
so nothing has to be carried by rows or messages, and what a killed process never sent is no gap
for the others. Nothing of OpenTelemetry is loaded until `app.executions.spans` is.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from app.store.records import Fence


class RunSpan(Protocol):
    """A run that is under way, or a sent step."""

    def ended(self, how: str) -> None:
        """It left the process, in this way."""
        ...


class Tracing(Protocol):
    """Tells of what happens to executions. From any thread."""

    def created(self, execution_ids: Sequence[str]) -> None:
        """These were created, by this process."""
        ...

    def commanded(self, execution_id: str, what: str, began_ns: int, status: int) -> None:
        """A request about an execution was answered; it came at `began_ns` since 1970."""
        ...

    def run(self, fence: Fence, parent_execution_id: str | None) -> AbstractContextManager[RunSpan]:
        """A claimed execution, or a sent step, runs in the block."""
        ...

    def node(
        self, fence: Fence, node_id: str, node_type: str, attempt: int
    ) -> AbstractContextManager[object]:
        """A node runs in the block, and in this thread, under this claim."""
        ...

    def recovered(self, execution_id: str, reason: str, previous_worker_id: str | None) -> None:
        """An execution was taken from a lost owner."""
        ...


class _NoSpan:
    def ended(self, how: str) -> None:
        """Nobody listens."""


class _Untraced:
    """Tells nothing."""

    _nothing: AbstractContextManager[RunSpan] = nullcontext(_NoSpan())

    def created(self, execution_ids: Sequence[str]) -> None: ...

    def commanded(self, execution_id: str, what: str, began_ns: int, status: int) -> None: ...

    def run(self, *_: object) -> AbstractContextManager[RunSpan]:
        return self._nothing

    def node(self, *_: object) -> AbstractContextManager[object]:
        return self._nothing

    def recovered(self, execution_id: str, reason: str, previous_worker_id: str | None) -> None: ...


UNTRACED: Tracing = _Untraced()
