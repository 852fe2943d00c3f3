"""Two guards for when the broker dies while messages are unacknowledged.

kombu 5.7.0 closes the channel and then uses it: the AttributeError that follows ends the worker.
A closed channel is a lost connection, and that Celery knows how to recover from. A test tells
when this guard can go.

And what could not be acknowledged Celery calls critical, with a traceback. Here a message is a
hint: the broker that is gone took it along, or delivers it once more.
"""

from __future__ import annotations

import logging
from typing import Any

from kombu.transport.redis import Channel
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

_channel: Any = Channel
_connparams = _channel._connparams  # noqa: SLF001 — kombu offers no other way


def _connparams_unless_closed(self: Channel, *args: Any, **kwargs: Any) -> Any:
    if getattr(self.connection, "client", None) is None:
        raise RedisConnectionError("the broker's channel is closed")
    return _connparams(self, *args, **kwargs)


def guard_closed_channel() -> None:
    """Put the guard in place. Before any connection is made."""
    _channel._connparams = _connparams_unless_closed  # noqa: SLF001 — see above


#: What kombu says of an acknowledgement that failed, and where Celery has it say that.
_NOT_ACKNOWLEDGED = "Couldn't ack %r, reason:%r"
_SAYS_SO = "celery.worker.request"
_AWAY = (RedisConnectionError, RedisTimeoutError, OSError)


def soften_lost_acknowledgement(record: logging.LogRecord) -> bool:
    """Make a warning of one line of it where the broker is away; everything is logged."""
    reason = record.exc_info[1] if record.exc_info else None
    if record.msg == _NOT_ACKNOWLEDGED and isinstance(reason, _AWAY):
        record.levelno, record.levelname = logging.WARNING, logging.getLevelName(logging.WARNING)
        record.exc_info = None
    return True


def guard_log() -> None:
    """Put this guard in place."""
    logging.getLogger(_SAYS_SO).addFilter(soften_lost_acknowledgement)
