"""One thread that watches every open socket of a process: what comes in, room for what goes out.

It reads, writes and looks after sockets; what is sent is decided elsewhere.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Protocol

#: How long (s) closing waits for the thread.
ENDS_WITHIN_S = 1.0
_WAKE_UPS_AT_ONCE = 4096
_log = logging.getLogger(__name__)


class Member(Protocol):
    """A socket that doesn't block. All but `is_over` and `wants_room` is for the loop's thread."""

    @property
    def is_over(self) -> bool:
        """Whether it is to be watched no more, and released."""
        ...

    @property
    def wants_room(self) -> bool:
        """Whether there is something to be written."""
        ...

    def fileno(self) -> int:
        """Its descriptor, valid until it is released."""
        ...

    def on_readable(self) -> None:
        """Something came, or the other side went."""
        ...

    def on_room(self) -> None:
        """Something can be written."""
        ...

    def on_tick(self) -> None:
        """A moment has passed."""
        ...

    def cut(self) -> None:
        """End it at once: it is over. From any thread."""
        ...

    def release(self) -> None:
        """Close it; it is watched no more."""
        ...


class SocketLoop:
    """Watches sockets. Its thread begins with the first.

    Each has `on_tick` called every `tick_s` (s, on `clock`).
    """

    def __init__(self, tick_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._tick_s = tick_s
        self._clock = clock
        self._masks: dict[Member, int] = {}
        self._changed: SimpleQueue[Member] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._waker: socket.socket | None = None
        self._is_closed = False

    def look(self, member: Member) -> None:
        """Watch this socket, or look anew at what it wants. From any thread."""
        self._changed.put(member)
        self._begin()
        self._wake()

    def close(self) -> None:
        """Release every socket, and end the thread."""
        with self._lock:
            self._is_closed = True
            thread = self._thread
        if thread is not None:
            self._wake()
            thread.join(ENDS_WITHIN_S)

    def _begin(self) -> None:
        with self._lock:
            if self._thread is None and not self._is_closed:
                self._waker, woken = socket.socketpair()
                self._thread = threading.Thread(
                    target=self._run, args=(woken,), name="sockets", daemon=True
                )
                self._thread.start()

    def _wake(self) -> None:
        # Full, it is awake anyway; closed, there is nobody to wake.
        if (waker := self._waker) is not None:
            with suppress(OSError):
                waker.send(b"\0", socket.MSG_DONTWAIT)

    def _run(self, woken: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            self._watch(selector, woken)
        woken.close()
        if (waker := self._waker) is not None:
            waker.close()

    def _watch(self, selector: selectors.BaseSelector, woken: socket.socket) -> None:
        self._selector = selector
        woken.setblocking(False)
        selector.register(woken, selectors.EVENT_READ)
        tick_at = self._clock() + self._tick_s
        while not self._is_closed:
            for key, mask in selector.select(max(0.0, tick_at - self._clock())):
                if key.data is None:
                    woken.recv(_WAKE_UPS_AT_ONCE)
                else:
                    self._guard(key.data, partial(self._serve, key.data, mask))
            self._take_changed()
            if self._clock() >= tick_at:
                tick_at = self._clock() + self._tick_s
                self._tick()
        for member in list(self._masks):
            self._guard(member, partial(self._release, member))

    def _guard(self, member: Member, service: Callable[[], object]) -> None:
        """Serve one so that its fault takes none of the others."""
        try:
            service()
        except Exception:  # noqa: BLE001 — this thread is the only one that all of them have
            _log.exception("serving a socket failed: it is cut")
            self._cut(member)

    def _cut(self, member: Member) -> None:
        try:
            member.cut()
            self._release(member)
        except Exception:  # noqa: BLE001 — as above
            _log.exception("a socket that failed can't be released")

    def _serve(self, member: Member, mask: int) -> None:
        if mask & selectors.EVENT_READ:
            member.on_readable()
        if mask & selectors.EVENT_WRITE:
            member.on_room()
        self._settle(member)

    def _take_changed(self) -> None:
        with suppress(Empty):
            while True:
                member = self._changed.get_nowait()
                self._guard(member, partial(self._settle, member))

    def _tick(self) -> None:
        for member in list(self._masks):
            self._guard(member, partial(self._look_after, member))

    def _look_after(self, member: Member) -> None:
        member.on_tick()
        self._settle(member)

    def _settle(self, member: Member) -> None:
        """Watch a socket for what it wants now, or release it."""
        before = self._masks.get(member)
        if member.is_over:
            self._release(member)
            return
        mask = selectors.EVENT_READ | (selectors.EVENT_WRITE if member.wants_room else 0)
        if before is None:
            self._selector.register(member.fileno(), mask, member)
        elif before != mask:
            self._selector.modify(member.fileno(), mask, member)
        self._masks[member] = mask

    def _release(self, member: Member) -> None:
        if self._masks.pop(member, None) is not None:
            self._selector.unregister(member.fileno())
        member.release()
