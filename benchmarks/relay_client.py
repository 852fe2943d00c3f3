"""A WebSocket client that reads an execution's events: no thread, no library, little CPU."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections import deque
from typing import Any, NamedTuple

from app.embedded.ports import LOOPBACK
from benchmarks.api import PREFIX, Refused

#: How long (s) an event may take before the measurement is given up.
PATIENCE_S = 30.0

_HEADERS_END = b"\r\n\r\n"
_TEXT, _CLOSE = 1, 8
#: Any will do: nobody in between could answer from a cache.
_KEY = "AAAAAAAAAAAAAAAAAAAAAA=="


class Frame(NamedTuple):
    """A message of the relay, and when it came (s, `time.perf_counter` and since 1970)."""

    events: list[dict[str, Any]]
    end: bool
    at: float
    at_wall: float


class Goodbye(ConnectionError):
    """The relay closed the socket before the end, with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the relay said goodbye: {code}")
        self.code = code


class Watcher:
    """Follows one execution; events come at once (`batchTimeoutMs=0`).

    `next_index` is where to go on, at another socket. Raises ConnectionError for a stream with a
    hole, or one that goes back. `room` is what the kernel may keep of what isn't read (bytes).
    """

    def __init__(
        self,
        port: int,
        execution_id: str,
        types: str = "",
        *,
        from_index: int = -1,
        room: int | None = None,
    ) -> None:
        self.execution_id = execution_id
        self.next_index = from_index
        self._socket = socket.socket()
        if room is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        self._socket.settimeout(PATIENCE_S)
        self._socket.connect((LOOPBACK, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._is_whole = not types
        self._read = bytearray()
        self._ended = False
        #: Events of frames that were read, with when they came.
        self._unseen: deque[tuple[dict[str, Any], float]] = deque()
        filtered = f"&eventTypes={types}" if types else ""
        query = f"batchTimeoutMs=0&fromIndex={from_index}{filtered}"
        self._open(port, f"{PREFIX}/executions/{execution_id}/events?{query}")

    def fileno(self) -> int:
        """The socket's, so that a selector can wait for it."""
        return self._socket.fileno()

    def wait_for(self, event_type: str, after: int = -2) -> tuple[dict[str, Any], float]:
        """The next such event with an index above `after`, and when it came (perf_counter).

        Raises TimeoutError, and LookupError when the execution ends without.
        """
        while self._unseen or not self._ended:
            if not self._unseen:
                frame = self.next()
                self._unseen.extend((event, frame.at) for event in frame.events)
                continue
            event, at = self._unseen.popleft()
            if event["type"] == event_type and event["index"] > after:
                return event, at
        raise LookupError(f"the execution ended without {event_type}")

    def next(self) -> Frame:
        """Wait for a frame."""
        while (frame := self.take()) is None:
            self.fill()
        return frame

    def fill(self) -> None:
        """Read what came, or wait until something does."""
        data = self._socket.recv(262_144)
        if not data:
            raise ConnectionError("the relay closed the connection")
        self._read += data

    def take(self) -> Frame | None:
        """A frame, if a whole one was read."""
        while (message := self._take_message()) is not None:
            kind, payload = message
            if kind == _TEXT:
                return self._frame(json.loads(payload))
            if kind == _CLOSE:
                raise Goodbye(int.from_bytes(payload[:2], "big"))
        return None

    def _frame(self, told: dict[str, Any]) -> Frame:
        events, first = told.get("events", []), self.next_index
        self.next_index = told["nextIndex"]
        self._ended = bool(told.get("end"))
        if self._is_whole and [each["index"] for each in events] != list(
            range(first, self.next_index)
        ):
            raise ConnectionError(f"{self.execution_id} has a hole after {first}")
        return Frame(events, self._ended, time.perf_counter(), time.time())

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _open(self, port: int, path: str) -> None:
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {_KEY}\r\n\r\n".encode()
        )
        while (end := self._read.find(_HEADERS_END)) < 0:
            self.fill()
        if not self._read.startswith(b"HTTP/1.1 101"):
            raise Refused(self._read[:500].decode(errors="replace"))
        del self._read[: end + len(_HEADERS_END)]

    def _take_message(self) -> tuple[int, bytes] | None:
        """A frame of the protocol; what a server sends is not masked."""
        read = self._read
        if len(read) < 2:
            return None
        length, start = read[1] & 0x7F, 2
        if length == 126:
            length, start = _number(read, ">H", 2), 4
        elif length == 127:
            length, start = _number(read, ">Q", 8), 10
        if length < 0 or len(read) < start + length:
            return None
        kind, payload = read[0] & 0x0F, bytes(read[start : start + length])
        del read[: start + length]
        return kind, payload


def _number(read: bytearray, form: str, size: int) -> int:
    """The length that follows the first two bytes; -1 while it isn't there."""
    return int(struct.unpack_from(form, read, 2)[0]) if len(read) >= 2 + size else -1
