"""A pooler in front of PostgreSQL, as PgBouncer is with `pool_mode = transaction`.

Each transaction goes to the next of a few sessions of the server, so that whatever is bound to a
session (what was prepared, a lock) is lost at once.
"""

from __future__ import annotations

import itertools
import queue
import socket
import struct
import threading
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

_ANSWERED_WITH_NO = (80877103, 80877104)  # TLS, GSS
_STARTUP = (196608, 196610)  # protocol 3.0, 3.2
#: What ends a request of a client, and is answered up to ReadyForQuery.
_ENDS_REQUEST = b"QSF"
#: Far beyond any process of the server.
_FIRST_PID = 1_000_000_000


class Pooler:
    """Listens on loopback; shares so many sessions of one database among its clients."""

    def __init__(self, url: str, sessions: int = 3) -> None:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        path = f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}"
        named = f"user\0{parts.username}\0database\0{parts.path[1:]}\0\0".encode()
        self._free: queue.Queue[_Session] = queue.Queue()
        self._pids = itertools.count(_FIRST_PID)
        self._clients: list[socket.socket] = []
        self._servers = [_Session(path, named) for _ in range(sessions)]
        for session in self._servers:
            self._free.put(session)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in (*self._clients, *(session.line for session in self._servers)):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._clients.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, EOFError):
            if not self._greeted(client):
                return
            while self._pass_on_transaction(client):
                pass

    def _greeted(self, client: socket.socket) -> bool:
        while True:
            (length, code) = struct.unpack("!ii", _exactly(client, 8))
            _exactly(client, length - 8)
            if code in _ANSWERED_WITH_NO:
                client.sendall(b"N")
            elif code in _STARTUP:
                break
            else:
                return False
        key = _message(b"K", struct.pack("!ii", next(self._pids), 7))
        ready = _message(b"Z", b"I")
        let_in = _message(b"R", struct.pack("!i", 0))
        client.sendall(let_in + self._servers[0].parameters + key + ready)
        return True

    def _pass_on_transaction(self, client: socket.socket) -> bool:
        """Pass one transaction on to the next session; False once the client has left."""
        request = _request(client)
        if request is None:
            return False
        session = self._free.get()
        try:
            while session.answer(request, client) != b"I":
                request = _request(client)
                if request is None:
                    session.answer(_message(b"Q", b"ROLLBACK\0"), None)
                    return False
            return True
        finally:
            self._free.put(session)


class _Session:
    """One session of the server."""

    def __init__(self, path: str, named: bytes) -> None:
        self.line = socket.socket(socket.AF_UNIX)
        self.line.connect(path)
        self.line.sendall(struct.pack("!ii", len(named) + 8, _STARTUP[0]) + named)
        self.parameters = b""
        while (message := _next(self.line))[:1] != b"Z":
            self.parameters += message if message[:1] == b"S" else b""

    def answer(self, request: bytes, client: socket.socket | None) -> bytes:
        """Have a request answered; gives whether a transaction is open, as ReadyForQuery does."""
        self.line.sendall(request)
        answer = b""
        while (message := _next(self.line))[:1] != b"Z":
            answer += message
        if client is not None:
            client.sendall(answer + message)
        return message[-1:]


def _request(client: socket.socket) -> bytes | None:
    """All messages up to the one that wants an answer; None where the client says good-bye."""
    request = b""
    while True:
        message = _next(client)
        if message[:1] == b"X":
            return None
        request += message
        if message[:1] in _ENDS_REQUEST:
            return request


def _next(line: socket.socket) -> bytes:
    head = _exactly(line, 5)
    return head + _exactly(line, struct.unpack("!i", head[1:])[0] - 4)


def _exactly(line: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        more = line.recv(size - len(found))
        if not more:
            raise EOFError
        found += more
    return found


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body
