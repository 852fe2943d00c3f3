"""The workers, each at a berth with cables of its own to PostgreSQL and to Redis."""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
import psutil

from tests.proxy import Proxy
from tests.system.stack import Managed, Stack
from tests.waiting import wait_until

#: How long (s) until all workers are of use, on a machine that is busy.
MANNED_WITHIN_S = 240.0


@dataclass
class Berth:
    """Where one worker is at a time."""

    cables: tuple[Proxy, Proxy]
    #: The URLs that lead over these cables.
    environ: Mapping[str, str]
    queues: str
    worker: Managed | None = None

    @property
    def is_taken(self) -> bool:
        """Whether its worker lives."""
        return self.worker is not None and self.worker.is_running

    def children(self) -> list[psutil.Process]:
        """The children of its worker, as far as it lives."""
        if self.worker is None:
            return []
        with suppress(psutil.NoSuchProcess):
            return self.worker.children()
        return []


class Fleet:
    """A worker for each berth, started again wherever one ended."""

    def __init__(self, stack: Stack, berths: list[Berth], *, pool: str, slots: int) -> None:
        self._stack = stack
        self._pool = pool
        self._slots = slots
        self.berths = berths

    def muster(self) -> None:
        """Start a worker wherever there is none."""
        for berth in self.berths:
            if not berth.is_taken:
                berth.worker = self._stack.start_worker(
                    pool=self._pool,
                    concurrency=self._slots,
                    queues=berth.queues,
                    env=berth.environ,
                    wait=False,
                )

    def await_manned(self) -> None:
        """Have a worker at each berth, and wait until all of them are of use."""
        wait_until(self._is_manned, "all workers are of use", MANNED_WITHIN_S)

    def any(self, dice: random.Random) -> Berth:
        """A berth whose worker lives, though it may be just starting."""
        self.muster()
        return dice.choice(self.berths)

    def _is_manned(self) -> bool:
        # A worker whose child is killed before all have started ends by itself.
        self.muster()
        known = {each["workerId"] for each in self._listed()}
        return all(each.worker is not None and each.worker.name in known for each in self.berths)

    def _listed(self) -> list[dict[str, Any]]:
        try:
            answer = self._stack.http.get("/api/v1/workers")
        except httpx.TransportError:
            return []
        return list(answer.json()["items"]) if answer.is_success else []
