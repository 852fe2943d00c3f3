"""What the supervisor is told about a program, and how it paces restarts."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.errors import ChainGraphError

#: The first pause before a restart, the longest, and the factor between them; in seconds.
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
FACTOR = 2.0
#: Whoever ran this long, in seconds, starts over with the first pause.
STABLE_AFTER_S = 20.0


class StartFailed(ChainGraphError):
    """A program did not get ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program to keep running. Programs of a higher rank end first.

    `is_ready` may block; it is asked in a thread. Durations are in seconds.
    """

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    rank: int
    is_ready: Callable[[], bool] | None = None
    #: One that lives gets there, also on a machine that is busy: this bounds one that hangs.
    ready_within_s: float = 120.0
    #: How long an exit before the first readiness is tried again.
    patience_s: float = 0.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within_s: float = 10.0
    #: Lines that hold one of these are expected of every run, say nothing, and are left out.
    expected_lines: Sequence[bytes] = ()
    popen_arguments: Mapping[str, Any] = field(default_factory=dict)


class Pauses:
    """How long to wait before each restart: longer each time, until one ran for a while."""

    def __init__(self) -> None:
        self._next_s = FIRST_PAUSE_S

    def after(self, ran_for_s: float) -> float:
        """The pause, in seconds, after a run that lasted so long."""
        if ran_for_s >= STABLE_AFTER_S:
            self._next_s = FIRST_PAUSE_S
        pause, self._next_s = self._next_s, min(self._next_s * FACTOR, LONGEST_PAUSE_S)
        return pause
