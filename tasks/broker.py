"""A guard for a fault of kombu 5.7.0. A test tells when it can go.

When Redis dies while messages are unacknowledged, kombu closes the channel and then uses it:
the AttributeError that follows ends the worker. A closed channel is a lost connection, and
that Celery knows how to recover from.
"""

from __future__ import annotations

from typing import Any

from kombu.transport.redis import Channel
from redis.exceptions import ConnectionError as RedisConnectionError

_channel: Any = Channel
_connparams = _channel._connparams  # noqa: SLF001 — kombu offers no other way


def _connparams_unless_closed(self: Channel, *args: Any, **kwargs: Any) -> Any:
    if getattr(self.connection, "client", None) is None:
        raise RedisConnectionError("the broker's channel is closed")
    return _connparams(self, *args, **kwargs)


def guard_closed_channel() -> None:
    """Put the guard in place. Before any connection is made."""
    _channel._connparams = _connparams_unless_closed  # noqa: SLF001 — see above
