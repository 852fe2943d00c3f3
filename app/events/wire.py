"""The wire form of events: what a reader gets, byte for byte, from Redis and from PostgreSQL.

The data of an event is encoded once, before it is stored. PostgreSQL keeps that text as it is,
and the envelope is always put around it here, so both sources give the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime

import orjson

from app.values.ports import Value

#: Index of an execution's first event.
FIRST_INDEX = -1

#: The fast decoder makes a float of an integer that is longer than this.
_LONG_NUMBER = re.compile(r"\d{19}")

#: An event on its way to the log: its type, and its data as JSON text.
EncodedEvent = tuple[str, str]


def to_json(value: Value) -> bytes:
    """Encode a JSON value compactly: one line, UTF-8.

    Integers beyond 64 bits and deep nesting are JSON too, but not to the fast encoder. Half of
    a surrogate pair is no text; a log line that holds one still has to be told.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        return text.encode(errors="replace")


def from_json(text: str) -> Value:
    """Read what `to_json` wrote: an integer beyond 64 bits stays what it is."""
    return json.loads(text) if _LONG_NUMBER.search(text) else orjson.loads(text)


def timestamp(at: datetime) -> str:
    """Write a time as ISO 8601 in UTC with milliseconds."""
    # `isoformat` takes twice as long.
    seconds = orjson.dumps(at.astimezone(UTC), option=orjson.OPT_OMIT_MICROSECONDS)[1:20].decode()
    return f"{seconds}.{at.microsecond // 1000:03}Z"


def envelope(execution_id: str, index: int, event_type: str, at: str, data: str) -> bytes:
    """Put the envelope around an event's data. `at` is a `timestamp`, `data` JSON text.

    Neither ids nor types hold a character that JSON escapes.
    """
    return (
        f'{{"index":{index},"type":"{event_type}","timestamp":"{at}",'
        f'"executionId":"{execution_id}","data":{data}}}'
    ).encode()


def data_text(events: Sequence[EncodedEvent]) -> str:
    """Write the data of events as the store keeps it: a JSON array beside their types."""
    return "[" + ",".join([data for _, data in events]) + "]"


def envelopes(
    execution_id: str, first_index: int, at: datetime, events: Sequence[EncodedEvent]
) -> list[bytes]:
    """Put the envelopes around events that one statement committed: all of one time."""
    # What `envelope` writes, the common part once.
    common = f'","timestamp":"{timestamp(at)}","executionId":"{execution_id}","data":'
    return [
        f'{{"index":{index},"type":"{event_type}{common}{data}}}'.encode()
        for index, (event_type, data) in enumerate(events, first_index)
    ]


def type_of(envelope_bytes: bytes) -> str:
    """Read the type out of an envelope that `envelope` made, without parsing its data."""
    return envelope_bytes.split(b'"', 6)[5].decode()
