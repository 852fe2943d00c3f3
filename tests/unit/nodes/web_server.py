"""A small HTTP server on loopback that says back what it was asked."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

#: When what is slow comes to its end (s): whoever is to give it up never sees that.
LATE_S = 120

HTML = (
    "<html><head><title>t</title><style>p {}</style></head><body><h1>Head</h1>"
    "<p>A <b>bold</b> <a href='/x'>link</a></p><script>alert(1)</script></body></html>"
)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        name = url.path.strip("/").split("/")[-1]
        answer = getattr(self, f"answer_{name.replace('-', '_')}", self.answer_echo)
        answer({key: values[0] for key, values in parse_qs(url.query).items()})

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET  # noqa: N815 - http.server asks

    def answer_echo(self, query: dict[str, str]) -> None:
        length = int(self.headers.get("Content-Length", 0))
        said = {
            "method": self.command,
            "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": self.rfile.read(length).decode(),
        }
        self.say(json.dumps(said).encode())

    def answer_status(self, query: dict[str, str]) -> None:
        self.say(b"<h1>oops</h1>", status=int(query["code"]))

    def answer_json(self, query: dict[str, str]) -> None:
        self.say(b'{ "a": 1.0,\n "b": [1e21, "\xc3\xa4"] }')

    def answer_nan(self, query: dict[str, str]) -> None:
        self.say(b'{"a": NaN}')

    def answer_empty(self, query: dict[str, str]) -> None:
        self.say(b"")

    def answer_html(self, query: dict[str, str]) -> None:
        self.say(HTML.encode())

    def answer_bytes(self, query: dict[str, str]) -> None:
        self.say(bytes(range(256)))

    def answer_latin(self, query: dict[str, str]) -> None:
        self.say("Grüße".encode("latin-1"), {"Content-Type": "text/plain; charset=iso-8859-1"})

    def answer_gzip(self, query: dict[str, str]) -> None:
        self.say(gzip.compress(b"packed"), {"Content-Encoding": "gzip"})

    def answer_large(self, query: dict[str, str]) -> None:
        self.say(b"x" * int(query["bytes"]))

    def answer_bomb(self, query: dict[str, str]) -> None:
        self.say(gzip.compress(b"0" * 50_000_000), {"Content-Encoding": "gzip"})

    def answer_redirect(self, query: dict[str, str]) -> None:
        self.say(b"", {"Location": query["to"]}, status=int(query.get("code", 302)))

    def answer_loop(self, query: dict[str, str]) -> None:
        hops = int(query["hops"])
        to = f"/loop?hops={hops - 1}" if hops > 1 else "/echo"
        self.say(b"", {"Location": to}, status=302)

    def answer_slow(self, query: dict[str, str]) -> None:
        self.server.asked.set()  # type: ignore[attr-defined]
        self.server.over.wait(LATE_S)  # type: ignore[attr-defined]
        self.say(b"late")

    def answer_drip(self, query: dict[str, str]) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(LATE_S * 100))
        self.end_headers()
        self.server.asked.set()  # type: ignore[attr-defined]
        for _ in range(LATE_S * 100):
            self.wfile.write(b".")
            self.wfile.flush()
            if self.server.over.wait(0.01):  # type: ignore[attr-defined]
                break

    def answer_broken(self, query: dict[str, str]) -> None:
        self.close_connection = True
        self.connection.close()

    def say(self, body: bytes, headers: dict[str, str] | None = None, status: int = 200) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Says nothing."""


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked, self.over = threading.Event(), threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is what some tests are about."""


@contextmanager
def serving() -> Iterator[QuietServer]:
    """A server for the time of the block."""
    server = QuietServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
