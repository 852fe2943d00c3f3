"""One WebSocket as the relay uses it: writes that don't wait, pings, and a close that arrives."""

from __future__ import annotations

import os
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from wsproto import WSConnection
from wsproto.events import CloseConnection, Message, Ping, Pong
from wsproto.frame_protocol import FrameProtocol
from wsproto.utilities import LocalProtocolError

from app.streams.delivery import GOING_AWAY
from app.streams.frames import end_frame, events_frame
from app.streams.relay import End, Events
from web.loop import SocketLoop

#: A message from a client that is larger (bytes) closes its socket with 1009.
MAX_MESSAGE_BYTES = 64 * 1024
TOO_BIG = 1009
#: What the kernel holds for a client that reads slowly: it decides how late a ping comes.
SEND_BUFFER_BYTES = 128 * 1024
#: How long (s) a closed socket, all of whose messages have gone out, waits for the other side.
LINGER_S = 1.0
#: So much (bytes) is read at once.
_READ_BYTES = 16 * 1024
_FORM = "websocket"


@dataclass(frozen=True, slots=True)
class Patience:
    """How often (s) a client is pinged, and how long (s) it may be silent or not read."""

    ping_every_s: float = 10.0
    silent_s: float = 20.0

    @property
    def tick_s(self) -> float:
        """How often (s) that is looked at."""
        return min(self.ping_every_s / 4, 0.5)


class _State(Enum):
    OPEN = auto()
    #: A goodbye was said, or is about to go out.
    CLOSING = auto()
    OVER = auto()


class Connection(ABC):
    """A connection on which events go out (app.streams.delivery.Outlet, web.loop.Member).

    What a client doesn't take of one message is kept, and nothing more.
    """

    def __init__(
        self,
        raw: socket.socket,
        loop: SocketLoop,
        patience: Patience,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        raw.setblocking(False)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._raw = raw
        self._loop = loop
        self._patience = patience
        self._clock = clock
        self._lock = threading.Lock()
        self._state = _State.OPEN
        self._unsent = b""
        self._moved_at = clock()
        self._next_ping = clock() + patience.ping_every_s
        self._closes_by = 0.0
        self._on_writable: Callable[[], object] = _nobody
        self._on_end: Callable[[], object] = _nobody

    # -- for who sends

    @property
    def is_open(self) -> bool:
        """Whether the client is there, as far as is known, and was not said goodbye to."""
        return self._state is _State.OPEN

    @property
    def is_writable(self) -> bool:
        """Whether the last message has gone out."""
        return not self._unsent

    def begin(self, on_writable: Callable[[], object], on_end: Callable[[], object]) -> None:
        """From now on tell when it becomes writable again and, once, when it is no more."""
        self._on_writable, self._on_end = on_writable, on_end
        self._loop.look(self)

    def cut(self) -> None:
        """End both directions at once."""
        with self._lock:
            self._give_up()
        self._loop.look(self)

    def _send(self, message: bytes) -> None:
        """Send a message. Without effect once it isn't open."""
        with self._lock:
            if self._state is _State.OPEN:
                self._push(message)
            wants_look = self.wants_room or self.is_over
        if wants_look:
            self._loop.look(self)

    # -- for the loop

    @property
    def is_over(self) -> bool:
        """Whether it is to be watched no more."""
        return self._state is _State.OVER

    @property
    def wants_room(self) -> bool:
        """Whether there is something to be written."""
        return bool(self._unsent)

    def fileno(self) -> int:
        """Its descriptor."""
        return self._raw.fileno()

    def on_readable(self) -> None:
        """Take what the client sends; most of it is ignored."""
        try:
            data = self._raw.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        with self._lock:
            if not data:
                self._give_up()
            elif self._state is _State.OPEN:
                self._hear(data)

    def on_room(self) -> None:
        """Send on."""
        with self._lock:
            unsent, self._unsent = self._unsent, b""
            if unsent:
                self._push(unsent)
            if not self._unsent and self._state is _State.OPEN:
                self._catch_up()
            is_free = self._state is _State.OPEN and not self._unsent
        if is_free:
            self._on_writable()

    def on_tick(self) -> None:
        """Ping when it is time, and give up who is silent."""
        now = self._clock()
        with self._lock:
            if self._state is _State.CLOSING and now >= self._closes_by:
                self._give_up()
            elif self._state is _State.OPEN:
                self._check(now)

    def release(self) -> None:
        """Close it, and tell."""
        self._raw.close()
        on_end, self._on_end = self._on_end, _nobody
        on_end()

    # -- under the lock

    @abstractmethod
    def _hear(self, data: bytes) -> None:
        """The client sent something."""

    @abstractmethod
    def _ping(self, now: float) -> None:
        """Nothing is on its way out: ping when it is time."""

    def _catch_up(self) -> None:  # noqa: B027 — most have nothing that had to wait
        """There is room again: send what had to wait, beside events."""

    def _check(self, now: float) -> None:
        if not self._unsent:
            self._ping(now)
        elif now - self._moved_at >= self._patience.silent_s:
            # Nothing may be put into the middle of a message.
            self._give_up()

    def _end_with(self, message: bytes) -> None:
        """Send a last message, and end once it has gone out."""
        self._state = _State.CLOSING
        self._closes_by = self._clock() + self._patience.silent_s
        self._push(message)

    def _push(self, data: bytes) -> None:
        """Send what can be sent now, and keep the rest."""
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = self._raw.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._give_up()
            return
        if sent:
            self._moved_at = self._clock()
            self._closes_by = self._moved_at + self._patience.silent_s
        # A copy, so that a frame that many are sent isn't held for one of them.
        self._unsent = bytes(data[sent:])
        if self._state is _State.CLOSING and not self._unsent:
            # It is read on, though: a socket that is closed with input unread is reset, and
            # the client may never see the goodbye.
            self._closes_by = self._clock() + LINGER_S
            with suppress(OSError):
                self._raw.shutdown(socket.SHUT_WR)

    def _give_up(self) -> None:
        self._state = _State.OVER
        self._unsent = b""


class EventSocket(Connection):
    """A WebSocket whose handshake is done."""

    def __init__(
        self,
        raw: socket.socket,
        protocol: WSConnection,
        loop: SocketLoop,
        patience: Patience,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(raw, loop, patience, clock)
        self._protocol = protocol
        self._owed_pong: Ping | None = None
        self._message_bytes = 0
        self._unanswered_since: float | None = None

    def send_events(self, events: Events) -> None:
        """Send events in one frame. Without effect once it isn't open."""
        frame = events.forms.get(_FORM)
        if frame is None:
            envelopes = [each.envelope for each in events.events]
            frame = text_frame(events_frame(envelopes, events.next_index))
            events.forms[_FORM] = frame
        self._send(frame)

    def send_end(self, end: End) -> None:
        """Send that there are no more events. Without effect once it isn't open."""
        self._send(text_frame(end_frame(end.status, end.next_index)))

    def close(self, code: int, reason: str = "") -> None:
        """Say goodbye after what was sent, unless the other side did; then it ends."""
        with self._lock:
            if self._state is _State.OPEN:
                self._say_goodbye(CloseConnection(code, reason or None))
        self._loop.look(self)

    # -- under the lock

    def _ping(self, now: float) -> None:
        if self._is_silent(now):
            self._say_goodbye(CloseConnection(GOING_AWAY, "no answer to pings"))
        elif now >= self._next_ping:
            self._next_ping = now + self._patience.ping_every_s
            self._unanswered_since = self._unanswered_since or now
            self._push(self._protocol.send(Ping()))

    def _is_silent(self, now: float) -> bool:
        since = self._unanswered_since
        return since is not None and now - since >= self._patience.silent_s

    def _catch_up(self) -> None:
        if self._owed_pong is not None:
            self._pong(self._owed_pong)

    def _hear(self, data: bytes) -> None:
        """Pongs and goodbyes count, the rest is ignored."""
        try:
            self._protocol.receive_data(data)
            for event in self._protocol.events():
                if self._state is _State.OPEN:
                    self._take(event)
        except LocalProtocolError:
            self._give_up()

    def _take(self, event: object) -> None:
        match event:
            case Pong():
                self._unanswered_since = None
            case Ping():
                self._pong(event)
            case CloseConnection():
                self._say_goodbye(event.response())
            case Message():
                self._weigh(event)

    def _pong(self, ping: Ping) -> None:
        # Who pings without reading is answered once.
        self._owed_pong = ping if self._unsent else None
        if self._owed_pong is None:
            self._push(self._protocol.send(ping.response()))

    def _weigh(self, message: Message[Any]) -> None:
        """Nobody listens; but who sends too much is told so."""
        data = message.data
        self._message_bytes += len(data.encode() if isinstance(data, str) else data)
        if self._message_bytes > MAX_MESSAGE_BYTES:
            self._say_goodbye(CloseConnection(TOO_BIG, "Message is too big"))
        elif message.message_finished:
            self._message_bytes = 0

    def _say_goodbye(self, event: CloseConnection) -> None:
        self._end_with(self._protocol.send(event))


def text_frame(message: bytes) -> bytes:
    """The frame of a text message, as a server sends it."""
    return bytes(FrameProtocol(client=False, extensions=[]).send_data(message.decode()))


def take_over(served: socket.socket) -> socket.socket:
    """Take a connection out of the hands of its server, which goes on with a dead end.

    A server ends its connections in both directions when it is done with a request: a second
    descriptor of the same connection would outlive that, the connection would not.
    """
    own = served.dup()
    dead, other = socket.socketpair()
    other.close()
    os.dup2(dead.fileno(), served.fileno(), inheritable=False)
    dead.close()
    return own


class _BearerProtocols:
    """The subprotocols that are taken up: a browser's way to send its token."""

    def __contains__(self, offered: object) -> bool:
        return isinstance(offered, str) and offered.startswith("bearer.")


class _NoThread:
    """What simple-websocket reads with: nothing. The loop does."""

    def __init__(self, target: Callable[[], object]) -> None:
        self.name = getattr(target, "__name__", "")

    def start(self) -> None:
        """Leave the reading to the loop."""


def server_options() -> dict[str, Any]:
    """How simple-websocket is to serve: it does the handshake, and no more."""
    return {"subprotocols": _BearerProtocols(), "thread_class": _NoThread}


def socket_of(ws: Any, loop: SocketLoop, patience: Patience) -> EventSocket:
    """Take the socket of a handshake that simple-websocket has done."""
    client = EventSocket(take_over(ws.sock), ws.ws, loop, patience)
    # Nothing more is to be sent from there.
    ws.connected = False
    return client


def _nobody() -> None:
    """Nobody is told."""
