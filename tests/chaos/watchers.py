"""Readers of events: over WebSocket, each coming again where its socket broke, and in pages."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from tests.chaos.calls import AGAIN_S, Book, Caller
from tests.chaos.evidence import Watch

#: How often a watcher goes away by itself, of a frame; how often it comes again too early.
LEAVES, COMES_EARLY = 0.03, 0.2


class Watcher:
    """Reads all events of one execution, whatever breaks, and keeps them in `watch`."""

    def __init__(self, url: str, execution_id: str, book: Book) -> None:
        self._address = f"{url.replace('http', 'ws', 1)}/api/v1/executions/{execution_id}/events"
        self._book = book
        self._dice = random.Random(execution_id)
        self.watch = Watch(execution_id)

    def read(self) -> None:
        """Read until the end came."""
        position = -1
        while not self.watch.ends and not self._book.given_up.is_set():
            if self._dice.random() < COMES_EARLY:
                position = self._dice.randint(-1, position)
            try:
                position = self._read_on(position)
            except (OSError, WebSocketException):
                self._book.count("sockets that broke")
                position = self._next
            self._book.given_up.wait(AGAIN_S)

    @property
    def _next(self) -> int:
        return max(self.watch.events, default=-2) + 1

    def _read_on(self, position: int) -> int:
        size = self._dice.choice((1, 3, 100))
        with connect(
            f"{self._address}?fromIndex={position}&batchSize={size}",
            open_timeout=10,
            close_timeout=1,
        ) as socket:
            for message in socket:
                frame = json.loads(message)
                if frame.get("end"):
                    self.watch.ends.append(frame["status"])
                else:
                    self._check_frame(position, frame)
                    keep(self.watch, frame["events"], self._book)
                    position = frame["nextIndex"]
                if not self.watch.ends and self._dice.random() < LEAVES:
                    return position
        return position

    def _check_frame(self, position: int, frame: Mapping[str, Any]) -> None:
        indexes = [each["index"] for each in frame["events"]]
        if indexes != list(range(position, frame["nextIndex"])):
            self._book.complain(
                f"4: {self.watch.execution_id}: frame {indexes} at {position}, then"
                f" {frame['nextIndex']}"
            )


def read_pages(call: Caller, execution_id: str) -> Watch:
    """What pages tell right now."""
    watch = Watch(execution_id, is_whole=False)
    path = f"/executions/{execution_id}/events?limit=1000"
    keep(watch, call.look(path).get("events", []), call.book)
    return watch


def keep(watch: Watch, events: Sequence[dict[str, Any]], book: Book) -> None:
    """Add what was read; who reads an index again reads the same."""
    for each in events:
        book.count("events watched")
        if watch.events.setdefault(each["index"], each) != each:
            book.complain(f"4: {watch.execution_id}: event {each['index']} reads otherwise")
