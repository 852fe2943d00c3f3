"""Messages that are sent only while their queue is short: the broker looks and takes at once.

Whoever looks at a queue's length first and sends then passes the bound whenever others do the
same at the same time. kombu's Redis transport knows of no bound; here its channel is given one.
"""

from __future__ import annotations

from typing import Any

from kombu.transport.redis import Channel
from kombu.utils.json import dumps

from app.streams import keys

#: An option of `apply_async`: the message is dropped where so many lie in its queue already.
MOST_QUEUED = "most_queued"

#: (queue, note; message, most): how long the queue is then, 0 if it was full, which is noted.
_PUSH = f"""
if redis.call('LLEN', KEYS[1]) < tonumber(ARGV[2]) then
    return redis.call('LPUSH', KEYS[1], ARGV[1])
end
redis.call('SET', KEYS[2], 1, 'PX', {keys.DROPPED_TTL_MS})
return 0
"""

_channel: Any = Channel
_put = _channel._put  # noqa: SLF001 — kombu offers no other way


def _put_within_bounds(self: Any, queue: str, message: dict[str, Any], **kwargs: object) -> None:
    most = message["properties"].pop(MOST_QUEUED, None)
    if most is None:
        _put(self, queue, message, **kwargs)
        return
    priority = self._get_message_priority(message, reverse=False)
    with self.conn_or_acquire() as client:
        push = client.register_script(_PUSH)
        # kombu puts its prefix before the first key alone.
        push(keys=[self._q_for_pri(queue, priority), keys.DROPPED], args=[dumps(message), most])


def bound_queues() -> None:
    """Have every channel know the option."""
    _channel._put = _put_within_bounds  # noqa: SLF001 — see above
