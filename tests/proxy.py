"""A proxy in front of PostgreSQL, which loses what a test wants lost.

Listens on loopback TCP and forwards to a server, its socket in the file system or on TCP.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

Upstream = tuple[str, int] | str

#: What one read takes at most (bytes): a request of a test fits.
_CHUNK = 1 << 20


class Proxy:
    """Forwards connections, each way in a thread of its own, until it is told otherwise."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._lock = threading.Lock()
        self._lines: list[_Line] = []
        self._is_cut = False
        self._holds_replies = threading.Event()
        self._delay_s = 0.0
        self._unwanted_request: bytes | None = None
        self._unanswered_request: bytes | None = None
        #: Bytes of replies that were held back.
        self.held = 0
        #: Requests and replies that were lost because a test wanted it.
        self.losses = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    # -- what a test asks for

    def cut(self) -> None:
        """Break every connection, and refuse new ones until `mend`."""
        with self._lock:
            self._is_cut = True
            lines, self._lines = self._lines, []
        for line in lines:
            line.close()

    def cut_clients(self) -> None:
        """Break every connection on the clients' side alone: the server doesn't notice."""
        with self._lock:
            lines = list(self._lines)
        for line in lines:
            line.cut_client()

    def mend(self) -> None:
        """Be a plain proxy again. What was held back stays lost."""
        self._holds_replies.clear()
        self._delay_s = 0.0
        with self._lock:
            self._is_cut = False

    def turn_to(self, upstream: Upstream) -> None:
        """Lead new connections to another server."""
        self._upstream = upstream

    def hold_replies(self) -> None:
        """From now on requests reach the server, and its replies don't reach the client."""
        self._holds_replies.set()

    def delay(self, ms: float) -> None:
        """Hold each reply up for so long."""
        self._delay_s = ms / 1000

    def lose_request(self, holding: str) -> None:
        """Break the connection that next sends this text, before the server sees it."""
        self._unwanted_request = holding.encode()

    def lose_reply_to(self, holding: str) -> None:
        """Break the connection that next sends this text, once the server has answered it."""
        self._unanswered_request = holding.encode()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    # -- what lines ask

    def takes_request(self, data: bytes, line: _Line) -> bool:
        """Whether a request goes on to the server."""
        if self._unwanted_request and self._unwanted_request in data:
            self._unwanted_request = None
            self.losses += 1
            return False
        if self._unanswered_request and self._unanswered_request in data:
            self._unanswered_request = None
            line.loses_reply = True
        return True

    def takes_reply(self, data: bytes, line: _Line) -> bool:
        """Whether a reply goes on to the client; it waits as long as it has to."""
        if self._delay_s:
            time.sleep(self._delay_s)
        self.losses += line.loses_reply
        return not line.loses_reply

    def holds(self, data: bytes) -> bool:
        """Whether a reply is dropped while its connection stays."""
        if not self._holds_replies.is_set():
            return False
        self.held += len(data)
        return True

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                with self._lock:
                    if self._is_cut:
                        near.close()
                        continue
                    line = _Line(self, near)
                    self._lines.append(line)
                line.connect(self._upstream)


class _Line:
    """One connection: the client's side and the server's."""

    def __init__(self, proxy: Proxy, near: socket.socket) -> None:
        self._proxy = proxy
        self._near = near
        self._far: socket.socket | None = None
        self.loses_reply = False
        self._keeps_server = False

    def connect(self, upstream: Upstream) -> None:
        family = socket.AF_UNIX if isinstance(upstream, str) else socket.AF_INET
        self._far = socket.socket(family)
        try:
            self._far.connect(upstream)
        except OSError:
            self.close()
            return
        threading.Thread(target=self._requests, args=(self._far,), daemon=True).start()
        threading.Thread(target=self._replies, args=(self._far,), daemon=True).start()

    def cut_client(self) -> None:
        self._keeps_server = True
        with suppress(OSError):
            self._near.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for end in (self._near, self._far):
            if end is not None:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def _requests(self, far: socket.socket) -> None:
        with suppress(OSError):
            while (data := self._near.recv(_CHUNK)) and self._proxy.takes_request(data, self):
                far.sendall(data)
        if not self._keeps_server:
            self.close()

    def _replies(self, far: socket.socket) -> None:
        with suppress(OSError):
            while (data := far.recv(_CHUNK)) and self._proxy.takes_reply(data, self):
                if not self._proxy.holds(data):
                    self._near.sendall(data)
        self.close()


def socket_of(url: str) -> str:
    """The path of the socket that a server listens on."""
    query = parse_qs(urlsplit(url).query)
    return f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}"


def proxy_to_postgres(url: str) -> tuple[Proxy, str]:
    """A proxy to a server that listens on a socket in the file system, and its URL."""
    parts = urlsplit(url)
    proxy = Proxy(socket_of(url))
    return proxy, f"postgresql://{parts.username}@127.0.0.1:{proxy.port}{parts.path}"
