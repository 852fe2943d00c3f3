"""Keeping events small: what is too large for an event is cut, split, or left out and named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from app.events.types import Event, EventType
from app.events.wire import EncodedEvent, to_json
from app.values.ports import Value

#: An event's data holds at most so many bytes of JSON.
MAX_DATA_BYTES = 64 * 1024
#: An output that is larger (bytes of JSON) is left out and named.
MAX_VALUE_BYTES = 16 * 1024
#: Items of a chunk share one event with its other members, which are short ids.
_ITEMS_BYTES = MAX_DATA_BYTES - 1024

#: What an event may still hold of each value, from its usual share down.
_LIMITS = tuple(MAX_VALUE_BYTES >> step for step in range(7))

_MARK = " … (cut)"

Data = Mapping[Any, Value]


def truncated(size: int, href: str) -> dict[str, Value]:
    """What stands in the place of a value that is too large: where to read it in full."""
    return {"$truncated": True, "bytes": size, "href": href}


def node_href(execution_id: str, node_id: str) -> str:
    """Where the API gives a node of an execution, with all its values."""
    return f"/api/v1/executions/{execution_id}/nodes/{quote(node_id, safe='')}"


def fit_outputs(execution_id: str, node_id: str, outputs: Data) -> Data:
    """Replace every output over 16 KiB by a note of its size and place."""
    if len(to_json(outputs)) <= MAX_VALUE_BYTES:
        return outputs
    return _replace_over(MAX_VALUE_BYTES, outputs, node_href(execution_id, node_id))


def fit_event(execution_id: str, event: Event) -> list[EncodedEvent]:
    """Encode an event; its data fits into 64 KiB afterwards. A chunk may become several."""
    encoded = to_json(event.data)
    if len(encoded) <= MAX_VALUE_BYTES:
        return [(event.type.value, encoded.decode())]
    fit = _FITTERS.get(event.type, _fit_any)
    return [(event.type.value, text.decode()) for text in fit(execution_id, event.data)]


@dataclass(frozen=True, slots=True)
class Shared:
    """A value that many events hold, encoded once: `texts` are it in whole, and cut.

    Those that fit into no event are left out. `size` is that of the whole, in bytes of JSON.
    """

    size: int
    texts: tuple[bytes, ...]


def share(value: Value) -> Shared:
    """Encode a value for the events that hold it."""
    whole = to_json(value)
    size = len(whole)
    cut = _cut_texts(value, MAX_VALUE_BYTES) if isinstance(value, dict) else None
    texts = [whole] if size <= MAX_DATA_BYTES else []
    return Shared(size, (*texts, *([] if cut is None else [to_json(cut)])))


def fit_shared(execution_id: str, event: Event, member: str, shared: Shared) -> EncodedEvent:
    """Encode an event whose data holds a shared value as this member, as `fit_event` would.

    What the data holds in its place counts for nothing.
    """
    for text in shared.texts:
        encoded = to_json({**event.data, member: orjson.Fragment(text)})
        if len(encoded) <= MAX_DATA_BYTES:
            return event.type.value, encoded.decode()
    held: Value = truncated(shared.size, f"/api/v1/executions/{execution_id}")
    if shared.texts:
        # It is the rest that is too large.
        held = orjson.Fragment(shared.texts[-1])
    return fit_event(execution_id, Event(event.type, {**event.data, member: held}))[0]


def _fit_completed(execution_id: str, data: Data) -> Iterator[bytes]:
    href = node_href(execution_id, str(data["nodeId"]))
    outputs = data["outputs"]
    for limit in _LIMITS:
        encoded = to_json({**data, "outputs": _replace_over(limit, outputs, href)})
        if len(encoded) <= MAX_DATA_BYTES:
            yield encoded
            return
    # So many ports that even their notes are too many: one note stands for all.
    yield to_json({**data, "outputs": truncated(len(to_json(outputs)), href)})


def _fit_port(execution_id: str, data: Data) -> Iterator[bytes]:
    href = node_href(execution_id, str(data["nodeId"]))
    yield to_json({**data, **_replace_over(MAX_VALUE_BYTES, {"value": data["value"]}, href)})


def _fit_log(_execution_id: str, data: Data) -> Iterator[bytes]:
    log = str(data["log"])
    others = len(to_json(data)) - len(to_json(log))
    yield to_json({**data, "log": _cut(log, MAX_DATA_BYTES - others)})


def _fit_chunk(execution_id: str, data: Data) -> Iterator[bytes]:
    """Split the items over as many events as they need; one too large for any is named."""
    href = node_href(execution_id, str(data["nodeId"]))
    items: list[Value] = []
    size = 0
    for item in _replace_over(_ITEMS_BYTES, dict(enumerate(data["items"])), href).values():
        item_size = len(to_json(item)) + 1
        if size + item_size > _ITEMS_BYTES:
            yield to_json({**data, "items": items})
            items, size = [], 0
        items.append(item)
        size += item_size
    yield to_json({**data, "items": items})


def _fit_any(execution_id: str, data: Data) -> Iterator[bytes]:
    """Cut texts and leave out the rest of what is large, more and more, until it fits."""
    href = f"/api/v1/executions/{execution_id}"
    if "nodeId" in data:
        href = node_href(execution_id, str(data["nodeId"]))
    whole = to_json(data)
    if len(whole) <= MAX_DATA_BYTES:
        yield whole
        return
    for limit in _LIMITS:
        encoded = to_json({key: _shrink(value, limit, href) for key, value in data.items()})
        if len(encoded) <= MAX_DATA_BYTES:
            yield encoded
            return
    yield to_json(truncated(len(whole), href))


def _shrink(value: Value, limit: int, href: str) -> Value:
    size = len(to_json(value))
    if size <= limit:
        return value
    if isinstance(value, str):
        return _cut(value, limit)
    cut = _cut_texts(value, limit) if isinstance(value, dict) else None
    return truncated(size, href) if cut is None else cut


def _cut_texts(values: Data, limit: int) -> dict[Any, Value] | None:
    """The same with its texts cut; None if even that takes more than `limit` bytes."""
    cut = {
        key: _cut(each, limit // 2) if isinstance(each, str) else each
        for key, each in values.items()
    }
    return cut if len(to_json(cut)) <= limit else None


def _cut(text: str, room: int) -> str:
    """Cut a text so that its JSON takes at most `room` bytes."""
    if len(to_json(text)) <= room:
        return text
    low, high = 0, room
    while low < high:
        middle = (low + high + 1) // 2
        if len(to_json(text[:middle] + _MARK)) <= room:
            low = middle
        else:
            high = middle - 1
    return text[:low] + _MARK


def _replace_over(limit: int, values: Data, href: str) -> dict[Any, Value]:
    fitted: dict[Any, Value] = {}
    for key, value in values.items():
        size = len(to_json(value))
        fitted[key] = truncated(size, href) if size > limit else value
    return fitted


_FITTERS: Mapping[EventType, Callable[[str, Any], Iterator[bytes]]] = {
    EventType.NODE_COMPLETED: _fit_completed,
    EventType.PORT_UPDATED: _fit_port,
    EventType.NODE_DEBUG_LOG: _fit_log,
    EventType.NODE_STREAM_CHUNK: _fit_chunk,
}
