"""A server with the OpenAI chat API on loopback, that does what the test tells it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """How to answer one request.

    `pieces` are streamed; `status`, `body` and `headers` answer at once. With `stalls` the answer
    stops behind its pieces until the test ends, with `breaks` the connection ends there.
    `raw` goes over the line as it is, before the pieces.
    """

    pieces: Sequence[str] = ()
    raw: Sequence[bytes] = ()
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    stalls: bool = False
    breaks: bool = False


class ChatServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies: list[Reply] = []
        self.asked: list[dict[str, Any]] = []
        self.stalled = threading.Event()
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ChatServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append({"path": self.path, "headers": headers, **json.loads(body)})
        reply = self.server.replies.pop(0)
        if reply.body is not None or reply.status != 200:
            self._say(reply)
        else:
            self._stream(reply)

    def _say(self, reply: Reply) -> None:
        text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def _stream(self, reply: Reply) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._chunk(": hello\n\n" + _data({"choices": [{"delta": {"role": "assistant"}}]}))
        for part in reply.raw:
            self._chunk(part)
        for piece in reply.pieces:
            self._chunk(_data({"choices": [{"delta": {"content": piece}}]}))
        if reply.stalls:
            self.server.stalled.set()
            self.server.over.wait(60)
        if not reply.breaks and not reply.stalls:
            self._chunk(_data({"choices": [{"delta": {}, "finish_reason": "stop"}]}))
            self._chunk(_data({"choices": [], "usage": {"total_tokens": 3}}) + "data: [DONE]\n\n")
        self._chunk("")

    def _chunk(self, part: str | bytes) -> None:
        encoded = part.encode() if isinstance(part, str) else part
        self.wfile.write(b"%x\r\n%b\r\n" % (len(encoded), encoded))
        self.wfile.flush()

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


def _data(value: Any) -> str:
    return f"data: {json.dumps(value)}\n\n"


@contextmanager
def chatting() -> Iterator[ChatServer]:
    """Serve for the length of the block."""
    server = ChatServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
