"""What every user of patterns shares: their errors, and the time that they may take.

No pattern of a document or a value may hang a worker. The matching itself (app.values.regexp)
is done by `regex` rather than RE2: it knows lookaround and back references, which the patterns
of ChainGraph's users have, and ends a search by itself when its time is up.
"""

from __future__ import annotations

import time

#: Seconds of this thread's processor that all searches of one check, or of one node, may take
#: together: what a pattern may do must not depend on what else the machine does. `regex` counts in
#: the same way.
TIME_LIMIT_S = 1.0


class PatternError(ValueError):
    """The pattern can't be read; the message says why."""


class PatternTimeout(ValueError):
    """The pattern takes too long on this text."""


class Stopwatch:
    """What is left of a time limit that several searches of one thread share."""

    def __init__(self, limit_s: float = TIME_LIMIT_S) -> None:
        self._deadline = time.thread_time() + limit_s

    def left_s(self) -> float:
        """Seconds left; raises PatternTimeout if none are."""
        left = self._deadline - time.thread_time()
        if left <= 0:
            raise PatternTimeout("the pattern takes too long")
        return left
