"""When a call is tried again, and how long it waits before."""

from __future__ import annotations

import random
from dataclasses import dataclass

#: The longest (s) that a server may send us away for with Retry-After.
LONGEST_PAUSE_S = 10.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How often something is tried, and how long (s) the pauses are: they double."""

    attempts: int = 5
    first_pause_s: float = 0.1
    longest_pause_s: float = 5.0

    def pause_s(self, failures: int, retry_after_s: float | None = None) -> float:
        """How long to wait after so many failures in a row.

        Up to a quarter longer than that, so that callers who were cut off together don't come
        back together.
        """
        doubled = self.first_pause_s * 2.0 ** min(failures - 1, 30)
        wanted = min(doubled, self.longest_pause_s)
        if retry_after_s is not None:
            wanted = min(max(wanted, retry_after_s), LONGEST_PAUSE_S)
        return wanted * random.uniform(1.0, 1.25)


#: For one call: a missing server is noticed within two seconds.
CALL = Patience()
#: For whoever waits or follows: a server may be restarted meanwhile, which takes up to 30 s.
FOLLOW = Patience(attempts=15)
