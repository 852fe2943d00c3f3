"""Live streams: what a running node sends, and what those read that run beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from app.engine import NodeFailure
from app.errors import NodeError, NonRetryableError, StreamFailed
from app.events.wire import to_json
from app.nodes.spec import Cancellation
from app.nodes.streams import OutputStream, Stream
from app.values.checks import check_value
from app.values.plain import plain_copy
from app.values.ports import PortConfig, PortType, Value
from app.values.streams import stream_value

_ANYTHING = PortConfig(PortType.ANY)


class Flag(Cancellation, Protocol):
    """What one thread sets, and others wait on."""

    def set(self) -> None:
        """Set it, and wake whoever waits."""
        ...


class Channel(OutputStream):
    """One attempt's stream of one port: appended to by its node, read by any thread.

    Readers wait on the flag that lies there before they look; whoever has changed something sets
    it and leaves a fresh one, so that nothing is missed. `on_news` is called at the first item
    after a `take_untold`; `check` raises where the node should end; `clock` is monotonic, in
    seconds; `hide` takes secrets out of an item.
    """

    def __init__(
        self,
        port: str,
        config: PortConfig,
        max_bytes: int,
        *,
        flag: Callable[[], Flag],
        clock: Callable[[], float],
        check: Callable[[], None],
        on_news: Callable[[], None],
        hide: Callable[[Value], Value],
    ) -> None:
        self._hide = hide
        self._port = port
        self._config = config.item or _ANYTHING
        self._max_bytes = max_bytes
        self._flag = flag
        self._clock = clock
        self._check = check
        self._on_news = on_news
        self._news = flag()
        self._lock = threading.Lock()
        self._items: list[Value] = []
        self._bytes = len(to_json(stream_value()))
        self._is_closed = self._is_sealed = False
        self._failure: NodeFailure | None = None
        self._told = 0
        self._is_announced = False

    # -- sending

    def send(self, item: Any) -> None:
        """Append an item."""
        self._check()
        try:
            value = self._hide(plain_copy(item))
        except ValueError as error:
            raise NodeError(f"output '{self._port}': an item is no value: {error}") from error
        fault = check_value(self._config, value)
        if fault is not None:
            raise NodeError(f"output '{self._port}': item {len(self._items)}: {fault}")
        with self._lock:
            self._append(value)
            announces, self._is_announced = not self._is_announced, True
        self.wake()
        if announces:
            self._on_news()

    def _append(self, value: Value) -> None:
        if self._is_closed or self._is_sealed:
            raise ValueError(f"the stream '{self._port}' is closed")
        self._bytes += len(to_json(value)) + 1
        if self._bytes > self._max_bytes:
            raise NonRetryableError(
                f"output '{self._port}' has more than {self._max_bytes} bytes of JSON"
            )
        self._items.append(value)

    def close(self) -> None:
        """Say that nothing more comes."""
        with self._lock:
            self._is_closed = True
        self.wake()

    def seal(self) -> None:
        """Take nothing more. What the end is, readers hear once the node is settled."""
        with self._lock:
            self._is_sealed = True

    def fail(self, failure: NodeFailure) -> None:
        """The node failed for good: so do its readers, behind the last item, unless it had closed."""
        with self._lock:
            if not self._is_closed:
                self._failure, self._is_closed = failure, True
        self.wake()

    def wake(self) -> None:
        """Have all readers look again."""
        with self._lock:
            # Of two at once one would leave a flag that a reader waits on and nobody sets.
            news, self._news = self._news, self._flag()
        news.set()

    # -- telling

    def take_untold(self) -> list[Value]:
        """The items since the last call."""
        with self._lock:
            self._is_announced = False
            items = self._items[self._told :]
            self._told += len(items)
        return items

    @property
    def has_untold(self) -> bool:
        """Whether there are items since the last `take_untold`."""
        return self._told < len(self._items)

    @property
    def is_closed(self) -> bool:
        """Whether nothing more comes."""
        return self._is_closed

    def value(self) -> dict[str, Value]:
        """All that was sent, and whether the node has closed it."""
        return stream_value(self._items, is_closed=self._is_closed)

    # -- reading

    def reach(self, position: int, within_s: float | None = None) -> bool:
        """Wait for the item at a position."""
        return self.await_item(position, within_s, self._check)

    def await_item(self, position: int, within_s: float | None, check: Callable[[], None]) -> bool:
        """The same for any reader; `check` raises where that one should end."""
        deadline = None if within_s is None else self._clock() + within_s
        while True:
            news = self._news
            check()
            if position < len(self._items):
                return True
            if self._is_closed:
                break
            left_s = None if deadline is None else deadline - self._clock()
            if left_s is not None and left_s <= 0:
                return False
            news.wait(left_s)
        if position < len(self._items):
            return True
        if self._failure is not None:
            raise StreamFailed(self._failure.message)
        return False

    def item(self, position: int) -> Value:
        """An item that was reached."""
        return self._items[position]


class ChannelReader(Stream[Any]):
    """A live stream as one node reads it.

    `has_read` says that what the node gives may depend on what was sent, and not only on that
    something was.
    """

    def __init__(self, source: int, channel: Channel) -> None:
        self.source = source
        self.has_read = False
        self._channel = channel
        self._check: Callable[[], None] = _go_on

    def belong_to(self, check: Callable[[], None]) -> None:
        """Have `check` raise where the reading node should end."""
        self._check = check

    def started(self, within_s: float | None = None) -> bool:
        """Wait for the first item."""
        has_begun = self._channel.await_item(0, within_s, self._check)
        if not has_begun and self._channel.is_closed:
            # That it was empty is all that there is to know of it.
            self.has_read = True
        return has_begun

    def reach(self, position: int, within_s: float | None = None) -> bool:
        """Wait for the item at a position."""
        self.has_read = True
        return self._channel.await_item(position, within_s, self._check)

    def item(self, position: int) -> Value:
        """An item that was reached."""
        return self._channel.item(position)

    def wake(self) -> None:
        """Have the node look whether it should end."""
        self._channel.wake()


def _go_on() -> None:
    """Nothing has to end."""
