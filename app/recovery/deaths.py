"""Whose lock is lost: looks at the locks of all processes, and when a process counts as dead."""

from __future__ import annotations

from collections.abc import Callable

#: A lock that is free at two looks so far apart (s), and at all between them, is lost.
SECOND_LOOK_S = 0.2
#: After so long (s) without a look, what was seen before proves nothing.
FORGOTTEN_S = 1.0


class DeathWatch:
    """One sweeper's looks at the locks. For one thread.

    `unlocked` gives the processes whose lock is free; `clock` is monotonic, in seconds.
    """

    def __init__(self, unlocked: Callable[[], set[str]], clock: Callable[[], float]) -> None:
        self._unlocked = unlocked
        self._clock = clock
        self._free_since: dict[str, float] = {}
        self._looked_at = float("-inf")

    def look(self) -> list[str]:
        """Look once; gives who is dead, in order of their names. May raise StoreUnavailable."""
        asked_at = self._clock()
        if asked_at - self._looked_at > FORGOTTEN_S:
            self._free_since = {}
        free = self._unlocked()
        # Counted from the answer to the first look to the question of this one: the locks were
        # free for that long at least.
        dead = sorted(each for each in free if self._is_lost(each, asked_at))
        self._looked_at = self._clock()
        self._free_since = {
            each: self._free_since.get(each, self._looked_at) for each in free.difference(dead)
        }
        return dead

    def next_in_s(self, interval_s: float) -> float:
        """How soon the next look is due: after the interval, sooner where it would prove a death."""
        next_at = self._looked_at + interval_s
        if self._free_since:
            next_at = min(next_at, min(self._free_since.values()) + SECOND_LOOK_S)
        return max(0.0, next_at - self._clock())

    def _is_lost(self, process: str, at: float) -> bool:
        since = self._free_since.get(process)
        # Clocks are read in binary fractions of a second: 0.2 may be a little less.
        return since is not None and at - since >= SECOND_LOOK_S - 1e-6
