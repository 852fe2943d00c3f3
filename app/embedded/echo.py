"""A small HTTP server that answers with what it was asked: the address that samples call.

`chaingraph dev` alone starts it, on the loopback interface:

    /echo?delayMs=N     answers after N ms, at most 10,000
"""

from __future__ import annotations

import argparse
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from app.embedded.ports import LOOPBACK

PATH = "/echo"
DEFAULT_PORT = 4029
LONGEST_DELAY_MS = 10_000
LARGEST_BODY_BYTES = 1024 * 1024

#: The headers that are shown; the others say nothing about the flow.
SHOWN_HEADERS = ("idempotency-key", "content-type")


class EchoHandler(BaseHTTPRequestHandler):
    """Answers each method on PATH alike."""

    protocol_version = "HTTP/1.1"
    #: A client that stops talking is let go, after so many seconds.
    timeout = 30

    def handle_echo(self) -> None:
        """Answer with the request, after the delay it asks for."""
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        size = self.headers.get("content-length", "0")
        delay = query.get("delayMs", "0")
        if parts.path != PATH:
            self._answer(404, {"error": f"there is only {PATH}"})
        elif not _within(size, LARGEST_BODY_BYTES):
            self.close_connection = True
            self._answer(413, {"error": f"a body has at most {LARGEST_BODY_BYTES} bytes"})
        elif not _within(delay, LONGEST_DELAY_MS):
            self._answer(422, {"error": f"delayMs is a number from 0 to {LONGEST_DELAY_MS}"})
        else:
            body = self.rfile.read(int(size))
            time.sleep(int(delay) / 1000)
            self._answer(200, self._described(parts.path, query, body))

    # The names are those of http.server.
    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_echo  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 — the base names it
        """One short line per request, on standard output."""
        print(format % args, flush=True)  # noqa: T201 — the supervisor reads it

    def _described(self, path: str, query: dict[str, str], body: bytes) -> dict[str, Any]:
        headers = {name: self.headers[name] for name in SHOWN_HEADERS if name in self.headers}
        return {
            "method": self.command,
            "path": path,
            "query": query,
            "headers": headers,
            "body": _as_value(body),
        }

    def _answer(self, status: int, value: dict[str, Any]) -> None:
        body = json.dumps(value).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            # Whoever asked was stopped meanwhile.
            self.close_connection = True


class EchoServer(ThreadingHTTPServer):
    """A thread per connection; they end with the process."""

    daemon_threads = True
    request_queue_size = 128


def _within(number: str, most: int) -> bool:
    return number.isascii() and number.isdigit() and len(number) <= 9 and int(number) <= most


def _as_value(body: bytes) -> Any:
    """The body as JSON if it is JSON, else as text; None if there is none."""
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def main() -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(description="Answers with what it was asked.")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    with EchoServer((LOOPBACK, parser.parse_args().port), EchoHandler) as server:
        print(f"http://{LOOPBACK}:{server.server_port}{PATH}", flush=True)  # noqa: T201
        server.serve_forever()


if __name__ == "__main__":
    main()
