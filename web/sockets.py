"""One WebSocket as the relay uses it: writes that are whole, pings, and a close that arrives."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from simple_websocket import ConnectionClosed
from wsproto.events import Ping
from wsproto.utilities import LocalProtocolError

#: A message from a client that is larger (bytes) closes its socket with 1009.
MAX_MESSAGE_BYTES = 64 * 1024
#: What the kernel holds for a client that reads slowly: it decides how late a ping comes.
SEND_BUFFER_BYTES = 128 * 1024
#: How long (s) a closed socket waits for the other side to have read everything.
LINGER_S = 1.0

GOING_AWAY = 1001
#: It was deleted, or its reader may not read it any more.
REFUSED = 1008
RESTARTING = 1012


@dataclass(frozen=True, slots=True)
class Patience:
    """How often (s) a client is pinged, and how long (s) it may be silent or not read."""

    ping_every_s: float = 10.0
    silent_s: float = 20.0


class SocketClosed(Exception):
    """The socket is closed, or broke."""


class Unresponsive(Exception):
    """The client answers no ping."""


class EventSocket:
    """Sends to one client from one thread, while another reads what the client sends."""

    def __init__(
        self, ws: Any, patience: Patience, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ws = ws
        self._patience = patience
        self._clock = clock
        self._next_ping = clock() + patience.ping_every_s
        self._unanswered_since: float | None = None
        self._raw = ws.sock
        # A blocking socket whose writes give up: a client that doesn't read is one that
        # doesn't answer.
        self._raw.settimeout(None)
        _set_send_timeout(self._raw, patience.silent_s)
        self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        ws.sock = _WholeWrites(self._raw)
        ws.input_buffer = _Ignored()

    @property
    def is_open(self) -> bool:
        """Whether the client is still there, as far as is known."""
        return bool(self._ws.connected)

    def send(self, message: bytes) -> None:
        """Send a text message. Raises SocketClosed."""
        try:
            self._ws.send(message.decode())
        except (ConnectionClosed, LocalProtocolError, OSError) as error:
            raise SocketClosed from error

    def check(self) -> float:
        """Ping when it is time. Raises Unresponsive, SocketClosed; how long (s) until the next."""
        now = self._clock()
        if self._ws.pong_received:
            self._unanswered_since = None
        elif self._unanswered_since and now - self._unanswered_since >= self._patience.silent_s:
            raise Unresponsive
        if now >= self._next_ping:
            self._next_ping = now + self._patience.ping_every_s
            self._unanswered_since = self._unanswered_since or now
            self._ws.pong_received = False
            self._ping()
        return self._next_ping - now

    def close(self, code: int, reason: str | None = None) -> None:
        """Say goodbye, unless the other side did."""
        with suppress(ConnectionClosed, LocalProtocolError, OSError):
            _set_send_timeout(self._raw, LINGER_S)
            self._ws.close(code, reason)

    def finish(self) -> None:
        """Wait until the goodbye was heard, for a moment, then end both directions."""
        self._ws.thread.join(LINGER_S)
        self.cut()
        self._ws.thread.join(LINGER_S)

    def cut(self) -> None:
        """End both directions at once: every read and write on the socket returns."""
        with suppress(OSError):
            self._raw.shutdown(socket.SHUT_RDWR)

    def _ping(self) -> None:
        try:
            self._ws.sock.send(self._ws.ws.send(Ping()))
        except (LocalProtocolError, OSError) as error:
            raise SocketClosed from error


class _WholeWrites:
    """A socket whose `send` sends everything, one caller at a time."""

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw
        self._lock = threading.Lock()
        self.recv = raw.recv
        self.fileno = raw.fileno

    def send(self, data: bytes) -> int:
        """Send all of it, whole frames never mixing."""
        with self._lock:
            self._raw.sendall(data)
        return len(data)

    def close(self) -> None:
        """End the sending, and read until the client ends its own.

        A socket closed while it holds unread input is reset, and the client may never see the
        close frame. The server that accepted it closes it.
        """
        with suppress(OSError):
            self._raw.shutdown(socket.SHUT_WR)
            give_up_at = time.monotonic() + LINGER_S
            self._raw.settimeout(LINGER_S)
            while time.monotonic() < give_up_at and self._raw.recv(MAX_MESSAGE_BYTES):
                pass


class _Ignored(list[object]):
    """What a client says. Nobody listens, so that nothing is kept."""

    def append(self, _message: object) -> None:
        """Forget the message."""


class _BearerProtocols:
    """The subprotocols that are taken up: a browser's way to send its token."""

    def __contains__(self, offered: object) -> bool:
        return isinstance(offered, str) and offered.startswith("bearer.")


def server_options() -> dict[str, Any]:
    """How simple-websocket is to serve. Pings are ours, so that 20 s of silence end in 1001."""
    return {
        "max_message_size": MAX_MESSAGE_BYTES,
        "subprotocols": _BearerProtocols(),
        "thread_class": partial(threading.Thread, daemon=True),
    }


def _set_send_timeout(raw: socket.socket, timeout_s: float) -> None:
    seconds = int(timeout_s)
    timeval = struct.pack("ll", seconds, int((timeout_s - seconds) * 1_000_000))
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)
