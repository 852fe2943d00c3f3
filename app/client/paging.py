"""Lists, page after page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.client.transport import Params, Transport


def pages(transport: Transport, path: str, params: Params | None = None) -> Iterator[Any]:
    """Give the items of a list; the next page is asked for when it is needed."""
    cursor = None
    while True:
        page = transport.get(path, {**(params or {}), "cursor": cursor})
        yield from page["items"]
        cursor = page["nextCursor"]
        if cursor is None:
            return
