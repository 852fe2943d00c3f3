"""The gunicorn worker that serves the API: one that no slow client holds a thread of for ever.

gunicorn reads a request and writes an answer in a thread, and waits as long as the client takes:
one that went to sleep in the middle would keep its thread until the process ends. And its one
loop, which all connections pass through, waits for each client to close what was answered.
"""

from __future__ import annotations

import errno
import socket
import struct
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.http import errors  # type: ignore[import-untyped]  # it has none
from gunicorn.util import write_nonblock  # type: ignore[import-untyped]
from gunicorn.workers.gthread import TConn, ThreadWorker  # type: ignore[import-untyped]
from werkzeug.http import HTTP_STATUS_CODES

from web.answers import encode
from web.problems import MEDIA_TYPE, code_of, members_of

#: Seconds in which the head of a request must have come.
HEAD_WITHIN_S = 5.0
#: Seconds in which its body must have come after that: `MAX_BODY_BYTES` over a slow line.
BODY_WITHIN_S = 60.0
#: Seconds that a client may take nothing of an answer.
STALLED_S = 30.0
#: Seconds in which a request must be answered, and all of the answer taken, after its head: the
#: longest page, some 60 MB, over a line of 2 Mbit/s. Who takes a little now and then is not stalled.
ANSWER_WITHIN_S = 300.0
#: Seconds that an answered connection waits for the client to close it.
LINGER_S = 2.0

#: What a client sends after its answer is read in such pieces, and forgotten.
_DISCARDED_BYTES = 64 * 1024
_CLIENTS_FAULT = 400
_STATUS_OF: dict[type[Exception], int] = {
    errors.LimitRequestLine: 414,
    errors.LimitRequestHeaders: 431,
    errors.ExpectationFailed: 417,
    errors.UnsupportedTransferCoding: 501,
}
_OUR_FAULTS = (
    errors.ConfigurationProblem,
    errors.InvalidResponseHeader,
    errors.InvalidResponseHeaderName,
)


class Deadlines:
    """Until when each connection's client must have done its part. Safe for threads.

    `how` is what its connection is shut down for then: for what it sends (`SHUT_RD`), so that an
    answer can still be sent, or altogether (`SHUT_RDWR`).
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, how: int = socket.SHUT_RD
    ) -> None:
        self._clock = clock
        self._how = how
        self._lock = threading.Lock()
        self._due: dict[socket.socket, float] = {}

    def set(self, connection: socket.socket, within_s: float) -> None:
        """Have it end so many seconds from now, instead of when it was to."""
        with self._lock:
            self._due[connection] = self._clock() + within_s

    def lift(self, connection: socket.socket) -> None:
        """Have it end no more."""
        with self._lock:
            self._due.pop(connection, None)

    def enforce(self) -> None:
        """Shut down those that are due: who reads or writes there meets the end."""
        now = self._clock()
        with self._lock:
            for connection in [each for each, due in self._due.items() if due <= now]:
                del self._due[connection]
                # It may have been reset, or handed over, meanwhile.
                with suppress(OSError):
                    connection.shutdown(self._how)


class PatientWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """gthread, but a client's patience isn't ours, and what it gets wrong is told as a problem."""

    stalled_s = STALLED_S
    linger_s = LINGER_S

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.deadlines = Deadlines()
        self.answers = Deadlines(how=socket.SHUT_RDWR)
        #: Those that are answered and said goodbye to, and until when they are waited for.
        self.lingering: dict[TConn, float] = {}

    def handle(self, conn: TConn) -> Any:
        """Read and answer a request, in a thread."""
        if not conn.initialized:
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(self.stalled_s))
        self.deadlines.set(conn.sock, HEAD_WITHIN_S)
        try:
            return super().handle(conn)
        finally:
            self.deadlines.lift(conn.sock)
            self.answers.lift(conn.sock)

    def handle_request(self, req: Any, conn: TConn) -> Any:
        """Answer a request whose head has come."""
        self.deadlines.set(conn.sock, BODY_WITHIN_S)
        self.answers.set(conn.sock, ANSWER_WITHIN_S)
        try:
            return super().handle_request(req, conn)
        except BlockingIOError:
            # The client takes nothing: as good as gone, and to gunicorn nothing to make a fuss of.
            raise BrokenPipeError(errno.EPIPE, "the client takes no answer") from None

    def finish_request(self, conn: TConn, fs: Future[Any]) -> None:
        """Go on with a connection in the loop: keep it, or have the client close it."""
        if fs.cancelled() or fs.exception() is not None or fs.result():
            super().finish_request(conn, fs)
            return
        # Closed with input unread it would be reset, and the client might lose the answer.
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, EVENT_READ, partial(self._discard, conn))
        except (OSError, ValueError):
            self._let_go(conn)
        else:
            self.lingering[conn] = time.monotonic() + self.linger_s

    def murder_pending(self) -> None:
        """Once a second or more often: end what takes too long."""
        super().murder_pending()
        self.deadlines.enforce()
        self.answers.enforce()
        now = time.monotonic()
        for conn in [each for each, until in self.lingering.items() if until <= now]:
            self._leave(conn)

    def _discard(self, conn: TConn, _socket: object) -> None:
        with suppress(BlockingIOError):
            try:
                is_over = not conn.sock.recv(_DISCARDED_BYTES)
            except ConnectionError:
                is_over = True
            if is_over:
                self._leave(conn)

    def _leave(self, conn: TConn) -> None:
        del self.lingering[conn]
        self.poller.unregister(conn.sock)
        self._let_go(conn)

    def _let_go(self, conn: TConn) -> None:
        self.nr_conns -= 1
        conn.close()

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Tell of a request that isn't HTTP, or is too long, in the form of every error."""
        if not isinstance(exc, errors.ParseException) or isinstance(exc, _OUR_FAULTS):
            super().handle_error(req, client, addr, exc)
            return
        self.log.info("unreadable request from %s: %s", (addr or ("a socket",))[0], exc)
        with suppress(OSError):
            write_nonblock(client, _refusal(_STATUS_OF.get(type(exc), _CLIENTS_FAULT)))


def _timeval(seconds: float) -> bytes:
    """Write a time as the kernel takes it."""
    whole, part = divmod(seconds, 1)
    return struct.pack("ll", int(whole), int(part * 1_000_000))


def _refusal(status: int) -> bytes:
    title = HTTP_STATUS_CODES[status]
    body = encode(members_of(code_of(status), status, "This is no request that can be read.", "/"))
    head = (
        f"HTTP/1.1 {status} {title}\r\nConnection: close\r\nContent-Type: {MEDIA_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
