"""Standing by while another process has the beat: should that one die, it is replaced at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from app.recovery.deaths import DeathWatch

#: How long (s) the number of those who sweep in turn is taken to stay what it was.
COUNT_KEPT_S = 5.0


class BeatStore(Protocol):
    """What standing by asks of the store. Every method may raise StoreUnavailable."""

    def count_sweepers(self) -> int:
        """How many processes sweep in turn, this one among them."""
        ...

    def inherit_beat(self, dead: Sequence[str]) -> bool:
        """Take the beat if one of the dead has it."""
        ...


class Understudy:
    """One process's part in it. For one thread.

    All who stand by together look every `look_s` seconds whether a process has died, so that it
    costs a large cluster no more than a small one. `pause` waits for so many seconds, and says
    whether the process is to end; `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        store: BeatStore,
        deaths: DeathWatch,
        look_s: float,
        *,
        pause: Callable[[float], object],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._deaths = deaths
        self._look_s = look_s
        self._pause = pause
        self._clock = clock
        self._others = 1
        self._counted_until = 0.0

    def wait(self, wait_s: float) -> list[str]:
        """Wait until the beat is due; sooner, with the dead, where it was one's of them.

        The beat is this process's then. Raises StoreUnavailable.
        """
        until = self._clock() + wait_s
        while (left_s := round(until - self._clock(), 6)) > 0:
            look_in_s = round(self._deaths.next_in_s(self._look_s * self._count_others()), 6)
            if not look_in_s:
                dead = self._deaths.look()
                if dead and self._store.inherit_beat(dead):
                    return dead
            elif self._pause(min(left_s, look_in_s)):
                break
        return []

    def _count_others(self) -> int:
        """How many stand by, this process among them; whoever has the beat does not."""
        if self._clock() >= self._counted_until:
            self._others = max(1, self._store.count_sweepers() - 1)
            self._counted_until = self._clock() + COUNT_KEPT_S
        return self._others
