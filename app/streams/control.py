"""Where a worker process waits for commands, on a connection of its own."""

from __future__ import annotations

import threading
from typing import Any

from redis.exceptions import RedisError

from app.streams import keys
from app.streams.client import connect_blocking

#: How long (s) to wait before Redis is tried again.
REST_S = 0.5


class ControlInbox:
    """The wake-ups of one worker process. For one thread; `close` may come from another."""

    def __init__(self, redis_url: str, worker_id: str, *, block_s: float = 1.0) -> None:
        self._key = keys.control(worker_id)
        self._block_s = block_s
        self._client = connect_blocking(redis_url, role="worker", block_s=block_s)
        self._closed = threading.Event()

    def wait(self) -> str | None:
        """Wait up to `block_s`; the id of an execution that has commands, or None.

        With Redis away it waits too, so that a loop around it doesn't spin.
        """
        if self._closed.is_set():
            return None
        try:
            popped: Any = self._client.blpop([self._key], timeout=self._block_s)
        except RedisError:
            self._closed.wait(REST_S)
            return None
        return str(popped[1], "ascii") if popped else None

    def close(self) -> None:
        """End the waiting."""
        self._closed.set()
        self._client.close()
