"""How a run begins in a process: new, as a fork, or where its checkpoints left it, with two reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import inf
from typing import Any

import orjson

from app.engine import Engine
from app.executions.ledger import Ledger
from app.executions.opening import as_record, new_engine, restore
from app.executions.sent import SentSteps
from app.executions.surroundings import Surroundings
from app.executions.timers import Timers, Wait, read_plan
from app.executions.writer import Writer
from app.store.records import Claimed, StoredCheckpoint


class Resumption:
    """Brings a claimed execution to where it was left: its books, its timers, its sent steps."""

    def __init__(
        self,
        claimed: Claimed,
        around: Surroundings,
        writer: Writer,
        timers: Timers,
        sent: SentSteps,
    ) -> None:
        self._claimed = claimed
        self._around = around
        self._writer = writer
        self._timers = timers
        self._sent = sent

    def open(self, options: Mapping[str, Any]) -> Ledger:
        """Give the books. Raises ValidationFailed where the flow can't run here any more."""
        claimed = self._claimed
        wiring = self._around.wiring(claimed.flow_id, claimed.flow_version)
        # Steps that are sent see a stream once it is a checkpoint.
        beside = not self._around.sends_all
        engine = new_engine(claimed, wiring, options, side_by_side=beside)
        if claimed.begun:
            next_seq = self._restore(engine)
        elif claimed.is_fork:
            next_seq = self._adopt(engine)
        else:
            engine.begin()
            next_seq = 0
        return Ledger(engine, self._writer, next_seq, self._around.max_value_bytes)

    def _restore(self, engine: Engine) -> int:
        """Bring the engine to where the run was left; gives the number of its next checkpoint."""
        store, execution_id = self._around.store, self._claimed.fence.execution_id
        granted: dict[str, int] = orjson.loads(self._claimed.grants or "{}")
        if granted:
            self._sent.read(self._around.insist(lambda: store.sent_steps(execution_id)), granted)
            # What was lost is interrupted like any node that was granted and never ended.
            self._writer.gather([told for _, told in self._sent.take_lost()], 0)
        stored = self._around.insist(lambda: store.checkpoints(execution_id))
        restore(engine, stored, granted, self._sent.nodes)
        for wait, attempt in _waits_of(engine, stored, self._around.clock()):
            self._timers.wait(wait, attempt)
        return stored[-1].seq + 1 if stored else 0

    def _adopt(self, engine: Engine) -> int:
        """Begin a fork; gives the number of its next checkpoint."""
        store, execution_id = self._around.store, self._claimed.fence.execution_id
        stored = self._around.insist(lambda: store.checkpoints(execution_id))
        engine.adopt(map(as_record, stored))
        return stored[-1].seq + 1 if stored else 0


def _waits_of(
    engine: Engine, stored: Iterable[StoredCheckpoint], now: float
) -> Iterator[tuple[Wait, int]]:
    """What nodes of a restored engine wait for, each with the attempt that it follows.

    `now` is the time on the run's clock.
    """
    for row in stored:
        node = engine.plan.index_of[row.node_id]
        # A retry that was granted before waits no longer.
        if node in engine.waiting:
            due = inf if row.retry_in_ms is None else now + row.retry_in_ms / 1000
            plan = read_plan(None if row.outputs is None else orjson.loads(row.outputs))
            yield Wait(due, row.retry_at, node, plan), row.attempt
