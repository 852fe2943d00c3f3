"""How often a caller may call: counted in Redis for all API processes, and not at all without it."""

from __future__ import annotations

import time
from collections.abc import Callable

from limits import RateLimitItem, parse_many
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis import Redis, RedisError

from app.streams import keys
from app.streams.client import Truce

#: How long (s) nobody is counted after Redis failed.
REST_S = 1.0


class Rates:
    """Counts calls against limits such as `100/second;10000/hour`. From any thread."""

    def __init__(self, client: Redis, limits: str) -> None:
        self._client = client
        self._limits = parse_many(limits)
        # The address is the pool's: what stands here says only whose client it is.
        storage = RedisStorage(
            "redis://", connection_pool=client.connection_pool, key_prefix=keys.RATES
        )
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._truce = Truce(REST_S)

    def refuse_for(self, caller: str, now: Callable[[], float] = time.time) -> int | None:
        """Count a call; how long (whole s) its caller has to wait if it is one too many."""
        return self._refuse_for(self._limiter.hit, caller, now)

    def would_refuse_for(self, caller: str, now: Callable[[], float] = time.time) -> int | None:
        """The same for a call that is not counted, or not yet."""
        return self._refuse_for(self._limiter.test, caller, now)

    def _refuse_for(
        self, fits: Callable[[RateLimitItem, str], bool], caller: str, now: Callable[[], float]
    ) -> int | None:
        if self._truce.holds:
            return None
        try:
            for limit in self._limits:
                if not fits(limit, caller):
                    reset_at = self._limiter.get_window_stats(limit, caller).reset_time
                    return max(1, round(reset_at - now() + 0.5))
        except RedisError:
            # Redis being away is no reason to refuse a call, or to delay the next.
            self._truce.begin()
        return None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
