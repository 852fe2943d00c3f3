"""Watchers of executions: one WebSocket each, open from the start to the end frame."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from websockets.asyncio.client import connect

from tests.system.stack import Stack


class Watchers:
    """What each watcher has seen, by execution: all its events, and whether the end came."""

    def __init__(self, stack: Stack, execution_ids: Sequence[str]) -> None:
        self._address = stack.url.replace("http", "ws", 1)
        self.events: dict[str, list[dict[str, Any]]] = {each: [] for each in execution_ids}
        self.ended: dict[str, str] = {}
        self.failures: dict[str, BaseException] = {}
        self._thread = threading.Thread(target=lambda: asyncio.run(self._watch_all()))

    def start(self) -> None:
        self._thread.start()

    def join(self, within_s: float = 90) -> None:
        """Wait until every watcher has its end frame, or failed."""
        self._thread.join(within_s)
        assert not self._thread.is_alive(), f"{len(self.ended)} of {len(self.events)} ended"

    async def _watch_all(self) -> None:
        results = await asyncio.gather(*map(self._watch, self.events), return_exceptions=True)
        for execution_id, result in zip(self.events, results, strict=True):
            if result is not None:
                self.failures[execution_id] = result

    async def _watch(self, execution_id: str) -> None:
        address = f"{self._address}/api/v1/executions/{execution_id}/events"
        async with connect(address, open_timeout=30) as socket:
            async for message in socket:
                frame = json.loads(message)
                self.events[execution_id] += frame.get("events", [])
                if frame.get("end"):
                    self.ended[execution_id] = frame["status"]


@contextmanager
def watching(
    stack: Stack, execution_ids: Sequence[str], within_s: float = 90
) -> Iterator[Watchers]:
    """Watch executions; by the end of the block they should be about to end."""
    watchers = Watchers(stack, execution_ids)
    watchers.start()
    yield watchers
    watchers.join(within_s)
