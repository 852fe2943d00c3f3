"""How long a flow has run, and how long it may."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Any

from app.store.records import Claimed


class FlowTime:
    """The time of a claimed execution, on the monotonic clock (s) of the process that runs it."""

    def __init__(
        self, claimed: Claimed, options: Mapping[str, Any], clock: Callable[[], float]
    ) -> None:
        self._clock = clock
        self._opened_at = clock()
        self._ran_ms = claimed.running_ms
        self._is_begun = claimed.begun
        self._timeout_ms: int = options["execution"]["flowTimeoutMs"]
        #: When the run must be over; infinity for never.
        self.deadline = inf
        if claimed.deadline_in_ms is not None:
            self.deadline = self._opened_at + claimed.deadline_in_ms / 1000

    def begin(self) -> None:
        """Something was written: if it was the first, the flow's time runs from now on."""
        if not self._is_begun:
            self._is_begun = True
            if self._timeout_ms:
                self.deadline = self._clock() + self._timeout_ms / 1000

    @property
    def is_up(self) -> bool:
        """Whether the deadline has come."""
        return self._clock() >= self.deadline

    def elapsed_ms(self) -> int:
        """How long the execution has run so far."""
        return self._ran_ms + round((self._clock() - self._opened_at) * 1000)
