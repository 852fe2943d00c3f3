"""What the use cases need of streams and signals. Redis is one; all of it may be lost."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple, Protocol


class Batch(NamedTuple):
    """Events of one execution in a row: the index of the first, and their envelopes."""

    execution_id: str
    first_index: int
    envelopes: Sequence[bytes]


class Publisher(Protocol):
    """Hands committed events to whoever watches."""

    def publish(self, execution_id: str, first_index: int, envelopes: Sequence[bytes]) -> bool:
        """Publish events that are committed; whether they were handed on."""
        ...

    def publish_many(self, batches: Iterable[Batch]) -> bool:
        """Publish events of many executions in one go; whether they were handed on."""
        ...


class SignalBox(Protocol):
    """Signals and commands. Whatever is not there answers False, or nothing, at once."""

    def set_start(self, execution_id: str, ttl_ms: int) -> bool:
        """Set the start signal; whether it stands."""
        ...

    def announce(self, execution_ids: Sequence[str], started: Collection[str], ttl_ms: int) -> bool:
        """Mark messages that are about to be sent, with the start signals of those started."""
        ...

    def take_start(self, execution_id: str) -> bool:
        """Take the start signal; whether it was there."""
        ...

    def mark_message(self, execution_id: str) -> bool:
        """Mark that a message is on its way; whether one was already, so none is needed."""
        ...

    def clear_message(self, execution_id: str) -> bool:
        """Clear the marker before looking for what the message is about; whether it stood."""
        ...

    def push_command(self, execution_id: str, command: str) -> bool:
        """Lay a command down for the execution's owner; whether it lies there."""
        ...

    def take_commands(self, execution_id: str) -> list[str]:
        """Take the commands that lie there, oldest first."""
        ...

    def wake_worker(self, worker_id: str, execution_id: str) -> bool:
        """Wake a worker process because the execution has commands; whether it was told."""
        ...

    def tell_let_go(self, execution_id: str) -> bool:
        """Say that this process has let an execution go that was stopped; whether that is told."""
        ...

    def await_let_go(self, execution_id: str, processes: int, within_s: float) -> bool:
        """Wait until so many processes have let an execution go; whether they have."""
        ...


class Inbox(Protocol):
    """Where one worker process is woken. For one thread; `close` may come from another."""

    def wait(self) -> str | None:
        """Wait a while; the id of an execution that has commands, or None."""
        ...

    def close(self) -> None:
        """End the waiting."""
        ...
