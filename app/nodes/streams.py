"""Streams as nodes see them: items are read as they come, sent one by one.

In a signature `Stream[T]` is the type of a port of type stream. A parameter of it is iterable, in
`async for` too; an output of it is what `ctx.stream(port)` was sent until the node returned.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from app.errors import StreamFailed
from app.values.ports import Value

T = TypeVar("T")
U = TypeVar("U")


class Stream(ABC, Generic[T]):
    """A stream to read: every iteration gives all items from the first one on.

    Whoever reads waits for the next item. Where the node that sends fails, StreamFailed is
    raised behind its last item; where the reader should end, what `ctx.check` raises.
    """

    def __iter__(self) -> Iterator[T]:
        position = 0
        while self.reach(position):
            yield self.item(position)
            position += 1

    async def __aiter__(self) -> AsyncIterator[T]:
        position = 0
        while await asyncio.to_thread(self.reach, position):
            yield self.item(position)
            position += 1

    def started(self, within_s: float | None = None) -> bool:
        """Wait for the first item; False where it ended without one, or the time is up."""
        return self.reach(0, within_s)

    @abstractmethod
    def reach(self, position: int, within_s: float | None = None) -> bool:
        """Wait for the item at a position; False where there is none, or the time is up."""

    @abstractmethod
    def item(self, position: int) -> T:
        """An item that was reached."""


class OutputStream(Stream[Any]):
    """A stream to send into; whoever reads it may run meanwhile."""

    @abstractmethod
    def send(self, item: Any) -> None:
        """Append an item.

        Raises NodeError for one that the port doesn't allow or that is one too many, ValueError
        once it is closed, and what `ctx.check` raises where the node should end.
        """

    @abstractmethod
    def close(self) -> None:
        """Say that nothing more comes; the end of the node says the same."""


class StoredStream(Stream[Any]):
    """A stream that is a value: all that ever comes of it is there."""

    def __init__(self, value: Mapping[str, Value]) -> None:
        self._items: list[Value] = value["buffer"]
        self._error: Mapping[str, Value] | None = value.get("error")

    def reach(self, position: int, within_s: float | None = None) -> bool:  # noqa: ARG002
        """Whether there is an item at a position."""
        if position < len(self._items):
            return True
        if self._error is not None:
            raise StreamFailed(str(self._error["message"]))
        return False

    def item(self, position: int) -> Value:
        """An item that was reached."""
        return self._items[position]


class ReadStream(Stream[U]):
    """A stream whose items are read as what the annotation promises."""

    def __init__(self, stream: Stream[Any], read: Callable[[Value], U]) -> None:
        self._stream = stream
        self._read = read

    def reach(self, position: int, within_s: float | None = None) -> bool:
        """Wait for the item at a position."""
        return self._stream.reach(position, within_s)

    def item(self, position: int) -> U:
        """An item that was reached."""
        return self._read(self._stream.item(position))
