"""What a run is held at, and taken by."""

from __future__ import annotations

import threading

from app.nodes.sdk import NodeContext
from app.store.sweeps import LostClaim, PgSweepStore
from tests.integration.executions.nodes import effect, node_that
from tests.integration.executions.process import (
    Driven,
    Process,
)
from tests.waiting import wait_until
from tests.world import PgWorld


class Gate:
    """A node that waits until it is let through; it counts the attempts that reached it."""

    def __init__(self) -> None:
        self.reached: list[int] = []
        self._opened = threading.Event()

    def __call__(self, ctx: NodeContext) -> None:
        self.reached.append(ctx.attempt)
        assert self._opened.wait(60)

    def open(self) -> None:
        self._opened.set()


def recover(world: PgWorld, execution: str, reason: str = "worker_died") -> None:
    """Take it from its owner, as a sweep does."""
    row = world.row(execution)
    store = PgSweepStore(world.database, "sweeper")
    claim = LostClaim(execution, row.epoch, row.processing_worker_id)
    assert store.recover(claim, reason, 100) is not None
    store.close()


def stuck_at(process: Process, execution: str, gate: Gate) -> Driven:
    """Drive a run up to its gate."""
    run = process.start(process.claim(process.around(effect, node_that(gate)), execution))
    wait_until(lambda: gate.reached, "the node begins")
    return run
