"""A cable to a server that can be cut and mended."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit


class Cable:
    """Forwards connections from a port of its own, while it is whole."""

    def __init__(self, upstream: tuple[str, int] | str) -> None:
        self._upstream = upstream
        self._ends: list[socket.socket] = []
        self._is_cut = False
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break every connection, and every one that is tried from now on."""
        with self._lock:
            self._is_cut = True
            ends, self._ends = self._ends, []
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        with self._lock:
            self._is_cut = False

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._forward, args=(near,), daemon=True).start()

    def _forward(self, near: socket.socket) -> None:
        family = socket.AF_UNIX if isinstance(self._upstream, str) else socket.AF_INET
        with near, socket.socket(family) as far, selectors.DefaultSelector() as selector:
            with self._lock:
                if self._is_cut:
                    return
                self._ends += [near, far]
            with suppress(OSError):
                far.connect(self._upstream)
                selector.register(near, selectors.EVENT_READ, far)
                selector.register(far, selectors.EVENT_READ, near)
                while True:
                    for key, _ in selector.select():
                        data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                        if not data:
                            return
                        key.data.sendall(data)


def cable_to_redis(url: str) -> tuple[Cable, str]:
    parts = urlsplit(url)
    cable = Cable((str(parts.hostname), int(parts.port or 6379)))
    return cable, url.replace(f":{parts.port}/", f":{cable.port}/")


def cable_to_postgres(url: str) -> tuple[Cable, str]:
    """For a server that listens on a socket in the file system."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    cable = Cable(f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}")
    return cable, f"postgresql://{parts.username}@127.0.0.1:{cable.port}{parts.path}"
