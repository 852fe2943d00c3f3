"""Cursors: where the next page begins, opaque to the caller."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from app.errors import BadRequest

#: Positions count items of one list; a list is never longer.
MAX_POSITION = 1_000_000

_BROKEN = "The cursor is broken: send one as it stands in nextCursor."


def at_moment(moment: datetime, resource_id: str) -> str:
    """The cursor after a resource of a list that is ordered by time, then id."""
    whole = int(moment.replace(microsecond=0).timestamp())
    return _encode([whole, moment.microsecond, resource_id])


def read_moment(cursor: str | None) -> tuple[datetime, str] | None:
    """Read what `at_moment` wrote. Raises BadRequest."""
    match _decode(cursor):
        case None:
            return None
        case [int(seconds), int(microsecond), str(resource_id)] if "\0" not in resource_id:
            try:
                whole = datetime.fromtimestamp(seconds, UTC)
                return whole.replace(microsecond=microsecond), resource_id
            except (ValueError, OverflowError, OSError):
                raise BadRequest(_BROKEN) from None
        case _:
            raise BadRequest(_BROKEN)


def at_level(depth: int, resource_id: str) -> str:
    """The cursor after a resource of a tree that is ordered by depth, then id."""
    return _encode([depth, resource_id])


def read_level(cursor: str | None) -> tuple[int, str] | None:
    """Read what `at_level` wrote. Raises BadRequest."""
    match _decode(cursor):
        case None:
            return None
        case [int(depth), str(resource_id)] if (
            0 <= depth <= MAX_POSITION and depth is not True and "\0" not in resource_id
        ):
            return depth, resource_id
        case _:
            raise BadRequest(_BROKEN)


def at_position(position: int) -> str:
    """The cursor after the first `position` items of a list whose order is fixed."""
    return _encode([position])


def read_position(cursor: str | None) -> int:
    """Read what `at_position` wrote; 0 without a cursor. Raises BadRequest."""
    match _decode(cursor):
        case None:
            return 0
        case [int(position)] if 0 <= position <= MAX_POSITION and position is not True:
            return position
        case _:
            raise BadRequest(_BROKEN)


def _encode(fields: Sequence[Any]) -> str:
    return urlsafe_b64encode(orjson.dumps(fields)).rstrip(b"=").decode()


def _decode(cursor: str | None) -> Any:
    if cursor is None:
        return None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        fields = orjson.loads(b64decode(padded, altchars=b"-_", validate=True))
    except ValueError:
        raise BadRequest(_BROKEN) from None
    # None stands for no cursor, so that a cursor which says null is a broken one.
    return [] if fields is None else fields
