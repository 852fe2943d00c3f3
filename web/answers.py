"""How answers are written: JSON as bytes, times, pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import orjson
from flask import Response

Item = TypeVar("Item")


def encode(payload: Any) -> bytes:
    """Write JSON.

    What a node computed may hold integers beyond 64 bits or deeper nesting than the fast
    encoder takes; the slower one writes those.
    """
    try:
        return orjson.dumps(payload)
    except TypeError:
        return json.dumps(payload, separators=(",", ":")).encode()


def answer(payload: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with JSON."""
    return Response(
        encode(payload), status=status, headers=headers, content_type="application/json"
    )


def page(items: Sequence[Item], limit: int, cursor_after: Callable[[Item], str]) -> dict[str, Any]:
    """Make a page of `limit` items from up to `limit` + 1; one too many says that more follow."""
    shown = items[:limit]
    more = len(items) > limit
    return {"items": shown, "nextCursor": cursor_after(shown[-1]) if more else None}
