"""The frames of the relay: how events are cut into messages."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from app.events.log import StoredEvent
from app.events.wire import to_json

#: A frame ends before it is larger (bytes), unless one event alone is. What a client that reads
#: slowly leaves of one is all that is kept for it.
MAX_FRAME_BYTES = 64 * 1024
#: What a frame holds beside its events, at most.
_AROUND_EVENTS = 64


def count_of_frame(events: Sequence[StoredEvent], batch_size: int) -> int:
    """How many of the events go into the next frame: at least one, if there is any."""
    room = MAX_FRAME_BYTES - _AROUND_EVENTS
    for count, event in enumerate(islice(events, batch_size)):
        room -= len(event.envelope) + 1
        if room < 0:
            return max(count, 1)
    return min(len(events), batch_size)


def events_frame(envelopes: Sequence[bytes], next_index: int) -> bytes:
    """Write a frame of events."""
    return b'{"events":[%b],"nextIndex":%d}' % (b",".join(envelopes), next_index)


def end_frame(status: str, next_index: int) -> bytes:
    """Write the frame after the terminal event."""
    return to_json({"end": True, "status": status, "nextIndex": next_index})
