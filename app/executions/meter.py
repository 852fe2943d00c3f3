"""What runs tell whoever counts: nothing that a decision depends on."""

from __future__ import annotations

from typing import Protocol


class Meter(Protocol):
    """Counts what runs of executions do in a process. From any thread; times in seconds."""

    def claimed(self, kind: str) -> None:
        """An `execution` or a sent `step` is this process's."""
        ...

    def left(self, end: str, seconds: float) -> None:
        """It left the process, in this way, so long after its claim."""
        ...

    def node_ended(self, type_: str, outcome: str, seconds: float) -> None:
        """An attempt of a node of this type ended: `completed`, `failed`, `timeout`, `waits`."""
        ...

    def committed(self, seconds: float, checkpoints: int, born: int, status: str | None) -> None:
        """A boundary was committed, with so many checkpoints and children.

        `status` is the final one that it gave the execution, if it did.
        """
        ...

    def fenced(self) -> None:
        """A write was void."""
        ...

    def timer_fired(self, late_s: float) -> None:
        """What a node waited for came so late."""
        ...


class _Unmeasured:
    """Counts nothing."""

    def claimed(self, kind: str) -> None: ...

    def left(self, end: str, seconds: float) -> None: ...

    def node_ended(self, type_: str, outcome: str, seconds: float) -> None: ...

    def committed(
        self, seconds: float, checkpoints: int, born: int, status: str | None
    ) -> None: ...

    def fenced(self) -> None: ...

    def timer_fired(self, late_s: float) -> None: ...


UNMEASURED: Meter = _Unmeasured()
