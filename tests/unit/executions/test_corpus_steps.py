"""The reference flows with each node sent as a step of its own, without a broker."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Any

import pytest

from app.caller import Caller
from app.executions.arrivals import Arrival
from app.executions.executor import Executor
from app.executions.inspection import Inspection
from app.executions.plans import PlanCache
from app.executions.surroundings import Surroundings
from app.nodes.registry import builtin_catalogue
from app.store.flows import FlowStore
from tests.corpus_cases import Case, all_cases
from tests.corpus_outcomes import differences
from tests.memory_world import MemoryWorld
from tests.world import OPTIONS

LEASE_MS = 10_000
CASES = all_cases()
PLANS = PlanCache(builtin_catalogue())
CONTINUE = json.dumps({**OPTIONS, "execution": {**OPTIONS["execution"], "onNodeError": "continue"}})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What REST says of a node."""

    status: str
    outputs: Mapping[str, Any]
    error: Any


class Inbox(SimpleQueue[Arrival]):
    """What a run waits at: where nothing came, the time passes."""

    def __init__(self, pass_time: Callable[[float], None]) -> None:
        self._pass_time = pass_time

    def get(self, block: bool = True, timeout: float | None = None) -> Arrival:
        try:
            return super().get(block=False)
        except Empty:
            self._pass_time(timeout or 0.0)
            raise


class Workers:
    """One store, one process that does all in turns, and a time that passes where all wait."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.world = MemoryWorld(lambda: self.now)
        self.steps: list[tuple[str, str]] = []
        tokens = itertools.count(1)
        self.around = Surroundings(
            store=self.world.open(),
            publish=lambda *_: True,
            plans=PLANS,
            launch=lambda step: step.run(),
            clock=self.clock,
            pause=self.pass_time,
            lease_s=LEASE_MS / 1000,
            max_value_bytes=1024 * 1024,
            is_draining=lambda: False,
            send=lambda id_, queues: self.steps.extend((id_, node) for node in queues),
            sends_all=True,
            mailbox=lambda: Inbox(self.pass_time),
        )
        self.executor = Executor(
            "w1", LEASE_MS, lambda: self.around, lambda: f"token {next(tokens)}"
        )

    def clock(self) -> float:
        return self.now.timestamp()

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def run(self, execution_id: str) -> None:
        """Run an execution to its end."""
        sweeps = self.world.sweeps("w1")
        while self.world.row(execution_id).completed_at is None:
            if self.executor.work():
                continue
            if self.steps:
                assert self.executor.work_step(*self.steps.pop(0))
                continue
            fired, _, due_ms = sweeps.fire_timers(1, 60_000)
            if not fired:
                assert due_ms is not None, "nothing will ever happen again"
                self.pass_time(due_ms / 1000)

    def outcomes(self, execution_id: str) -> dict[str, Outcome]:
        """What became of the nodes."""
        table = self.world.table
        row: Any = table.one(execution_id)
        wiring = PLANS.get(row.flow_id, row.flow_version, self.world.open().document)
        inspection = Inspection(wiring, row, table.checkpoints(execution_id))
        nodes = [inspection.node(index, {}) for index in range(inspection.size())]
        return {
            str(node["id"]): Outcome(str(node["status"]), node["outputs"] or {}, node["error"])
            for node in nodes
        }


@pytest.mark.parametrize("case", CASES, ids=[f"{case.folder}-{case.name}" for case in CASES])
def test_a_flow_whose_steps_are_sent_ends_as_on_the_original(case: Case) -> None:
    workers = Workers()
    flow_id = case.flow["id"]
    flows = FlowStore(workers.world.database)
    flows.store(flow_id, Caller("local"), case.name, json.dumps(case.flow))
    execution_id = workers.world.create(
        flow_id=flow_id,
        options=CONTINUE,
        external_events=json.dumps([case.event]) if case.event else None,
    )

    workers.run(execution_id)

    assert differences(case, workers.outcomes(execution_id)) == []
