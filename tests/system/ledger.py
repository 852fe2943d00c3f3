"""A receiver of effects: an HTTP server that takes its time and counts by idempotency key."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from app.embedded.ports import LOOPBACK
from tests.waiting import wait_until

#: How long (s) an effect takes.
EFFECT_S = 0.3
#: How long (s) one is held at most.
HELD_AT_MOST_S = 300.0

#: Whether an effect is held: by its node's id, and its number among all.
IsHeld = Callable[[str, int], bool]


class Ledger:
    """What arrived, by key. An effect counts from the moment its request is read."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://{LOOPBACK}:{server.server_port}"
        self.effect_s = EFFECT_S
        self._lock = threading.Lock()
        self._gate = threading.Condition()
        self._is_held: IsHeld = _none
        self._arrivals: dict[str, list[float]] = {}
        self._total = 0
        self._under_way = 0

    def take(self, key: str) -> None:
        """Count an effect, and return at its end: after the time it takes, once it isn't held."""
        with self._lock:
            self._arrivals.setdefault(key, []).append(time.time())
            self._total = number = self._total + 1
            self._under_way += 1
        time.sleep(self.effect_s)
        _, _, node_id = key.partition(":")
        with self._gate:
            self._gate.wait_for(lambda: not self._is_held(node_id, number), HELD_AT_MOST_S)
        with self._lock:
            self._under_way -= 1

    def hold(self, from_node: str = "") -> None:
        """Have the effects of this node, and of those with later ids, take until `let_go`.

        Those that were held and are of earlier nodes come to their end.
        """
        self._hold(lambda node_id, _: node_id >= from_node)

    def hold_after(self, count: int) -> None:
        """Have all effects but the next so many take until `let_go`."""
        last = self.total() + count
        self._hold(lambda _, number: number > last)

    def let_go(self) -> None:
        """Have all effects come to their end."""
        self._hold(_none)

    def _hold(self, is_held: IsHeld) -> None:
        with self._gate:
            self._is_held = is_held
            self._gate.notify_all()

    @property
    def under_way(self) -> int:
        """How many effects are under way."""
        return self._under_way

    @property
    def is_idle(self) -> bool:
        """Whether no effect is under way."""
        return not self._under_way

    def total(self) -> int:
        """How many effects there were, of all nodes."""
        return self._total

    def count(self, execution_id: str, node_id: str) -> int:
        """How often a node of an execution had its effect."""
        with self._lock:
            return len(self._arrivals.get(f"{execution_id}:{node_id}", ()))

    def await_effect(self, execution_id: str, node_id: str, count: int = 1) -> None:
        """Wait until a node of an execution has had its effect so often."""
        wait_until(
            lambda: self.count(execution_id, node_id) >= count,
            f"{node_id} of {execution_id} has its effect",
        )

    def counts(self, execution_id: str) -> dict[str, int]:
        """How often each node of an execution had its effect, by node."""
        arrived = self.arrivals().get(execution_id, {})
        return {node: len(times) for node, times in arrived.items()}

    def arrivals(self) -> dict[str, dict[str, list[float]]]:
        """When each effect came, in seconds since the epoch: by execution and node."""
        found: dict[str, dict[str, list[float]]] = {}
        with self._lock:
            for key, times in self._arrivals.items():
                execution_id, _, node_id = key.partition(":")
                found.setdefault(execution_id, {})[node_id] = list(times)
        return found

    def chain(self, nodes: int) -> dict[str, Any]:
        """A flow of so many effects in a row: n00, n01, …."""
        return effects_in_a_row(self.url, [f"n{number:02}" for number in range(nodes)])


def effects_in_a_row(url: str, node_ids: Sequence[str]) -> dict[str, Any]:
    """A flow that posts once per node, each with the answer to the one before.

    It waits for each answer as long as it takes.
    """
    edges = itertools.pairwise(node_ids)
    return {
        "metadata": {"name": "Effects in a row"},
        "nodes": [
            {
                "id": node_id,
                "type": "HttpRequestNode",
                "values": {"baseUri": url, "path": "/effect", "method": "POST", "timeout": 0},
            }
            for node_id in node_ids
        ],
        "edges": [{"source": f"{a}.response", "target": f"{b}.body"} for a, b in edges],
    }


def _none(_node_id: str, _number: int) -> bool:
    return False


class _Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", "0")))
        key = self.headers["idempotency-key"]
        self.server.ledger.take(key)
        body = key.encode()
        try:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            # Whoever asked was killed meanwhile.
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 — the base names it
        """Say nothing: the ledger tells what came."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), _Receiver)
        self.ledger = Ledger(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients are killed here in the middle of a request; the tests see what they did."""


@contextmanager
def run_ledger() -> Iterator[Ledger]:
    """Receive effects in this process."""
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.ledger
        finally:
            server.shutdown()
            thread.join()
