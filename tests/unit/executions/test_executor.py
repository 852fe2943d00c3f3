"""How an executor claims. What it runs is refused at once: its flow has no such node type."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from app.errors import StoreUnavailable
from app.executions.executor import Executor
from app.executions.plans import PlanCache
from app.executions.run import Run
from app.executions.surroundings import Surroundings
from app.store.records import Boundary, Claimed, Ending, Fence, Void, Written

OPTIONS = json.dumps(
    {
        "execution": {
            "maxConcurrency": 1,
            "nodeTimeoutMs": 1000,
            "flowTimeoutMs": 0,
            "onNodeError": "fail",
        },
        "breakpoints": [],
        "debug": False,
    }
)
UNKNOWN = json.dumps(
    {"metadata": {"name": "x"}, "nodes": [{"id": "a", "type": "GoneNode"}], "edges": []}
)


def claimed(execution_id: str) -> Claimed:
    return Claimed(
        fence=Fence(execution_id, 1),
        writes=0,
        wake=0,
        flow_id="V2",
        flow_version=1,
        owner_id="local",
        root_execution_id=execution_id,
        parent_execution_id=None,
        begun=False,
        options=OPTIONS,
        inputs=None,
        integration=None,
        grants=None,
        running_ms=0,
        deadline_in_ms=None,
    )


@dataclass
class Store:
    """A backlog; `losses` are the replies that are lost, by method, one call each."""

    backlog: list[str]
    losses: list[str] = field(default_factory=list)
    owned: dict[str, str] = field(default_factory=dict)
    ends: list[tuple[str, str]] = field(default_factory=list)
    outcome: Written | Void = field(default_factory=lambda: Written(0, datetime.now(UTC)))
    claims: int = 0

    def claim(
        self, worker_id: str, token: str, lease_ms: int, execution_id: str | None = None
    ) -> Claimed | None:
        self.claims += 1
        self._lose("claim request")
        wanted = [each for each in self.backlog if execution_id in {None, each}]
        if not wanted:
            return None
        self.backlog.remove(wanted[0])
        self.owned[token] = wanted[0]
        self._lose("claim")
        return claimed(wanted[0])

    def find_claim(self, worker_id: str, token: str) -> Claimed | None:
        self._lose("find_claim")
        return claimed(self.owned[token]) if token in self.owned else None

    def document(self, flow_id: str, version: int) -> str:
        return UNKNOWN

    def write(self, fence: Fence, writes: int, boundary: Boundary) -> Written | Void:
        ending = boundary.ending
        assert isinstance(ending, Ending)
        self.ends.append((fence.execution_id, ending.status))
        return self.outcome

    def _lose(self, what: str) -> None:
        if what in self.losses:
            self.losses.remove(what)
            raise StoreUnavailable(what)


@dataclass
class Setting:
    store: Store
    clock: Callable[[], float] = lambda: 0.0
    is_draining: bool = False
    pauses: list[float] = field(default_factory=list)
    opened: int = 0

    def __post_init__(self) -> None:
        tokens = iter(range(1000))
        self.executor = Executor("w1", 10_000, self._open, lambda: f"token {next(tokens)}")

    def _open(self) -> Surroundings:
        self.opened += 1
        store: Any = self.store
        return Surroundings(
            store=store,
            publish=lambda *_: None,
            plans=PlanCache({}),
            launch=lambda _: pytest.fail("no node runs here"),
            clock=self.clock,
            pause=self.pauses.append,
            lease_s=10,
            max_value_bytes=1000,
            is_draining=lambda: self.is_draining,
        )

    @property
    def ran(self) -> list[str]:
        return [execution_id for execution_id, _ in self.store.ends]


def test_the_backlog_is_run_in_its_order() -> None:
    setting = Setting(Store(["EX1", "EX2", "EX3"]))

    assert setting.executor.work() == 3

    assert setting.ran == ["EX1", "EX2", "EX3"]
    assert {status for _, status in setting.store.ends} == {"failed"}


def test_with_nothing_to_do_it_gives_the_slot_back() -> None:
    setting = Setting(Store([]))

    assert setting.executor.work() == 0
    assert setting.store.claims == 1


def test_the_slot_is_given_back_once_the_time_slice_is_over() -> None:
    setting = Setting(Store([f"EX{number}" for number in range(9)]))
    times = iter(range(1000))
    setting.clock = lambda: next(times) / 10

    count = setting.executor.work()

    assert 1 <= count < 9
    assert len(setting.store.backlog) == 9 - count


def test_a_claim_whose_reply_was_lost_is_found_and_run() -> None:
    setting = Setting(Store(["EX1", "EX2"], losses=["claim"]))

    assert setting.executor.work() == 2

    assert setting.ran == ["EX1", "EX2"]
    assert len(setting.pauses) == 1


def test_a_claim_that_never_arrived_is_not_run_by_accident() -> None:
    setting = Setting(Store(["EX1"], losses=["claim request"]))

    assert setting.executor.work() == 0
    assert setting.ran == []

    assert setting.executor.work() == 1
    assert setting.ran == ["EX1"]
    assert list(setting.store.owned.values()) == ["EX1"]


def test_a_store_that_is_away_is_not_waited_for() -> None:
    setting = Setting(Store(["EX1"], losses=["claim", "find_claim"]))

    assert setting.executor.work() == 0

    assert setting.ran == []
    assert setting.executor.running() == []


def test_every_claim_has_a_token_of_its_own() -> None:
    setting = Setting(Store(["EX1", "EX2", "EX3"]))

    setting.executor.work()

    assert len(setting.store.owned) == 3


def test_who_claims_is_not_idle_although_nothing_runs_yet() -> None:
    store = Store([])
    setting = Setting(store, clock=lambda: seen.append(setting.executor.is_idle()) or 0.0)
    seen: list[bool] = []
    assert setting.executor.is_idle()

    setting.executor.work()

    assert seen
    assert not any(seen)
    assert setting.executor.is_idle()


def test_a_process_that_is_to_end_claims_nothing() -> None:
    setting = Setting(Store(["EX1"]), is_draining=True)

    assert setting.executor.work() == 0

    assert setting.store.claims == 0


def test_a_run_that_was_lost_is_followed_by_the_next() -> None:
    setting = Setting(Store(["EX1", "EX2"], outcome=Void()))

    assert setting.executor.work() == 2

    assert setting.executor.running() == []


def test_what_a_thread_needs_is_opened_once() -> None:
    setting = Setting(Store(["EX1"]))
    setting.executor.work()
    setting.store.backlog.append("EX2")

    setting.executor.work()

    assert setting.opened == 1


def test_what_runs_is_named_in_the_order_in_which_it_began() -> None:
    """Not by where it lies in memory: renewals and commands come to runs in this order."""
    setting = Setting(Store([]))
    runs = [Run(claimed(f"EX{number}"), setting._open(), 0.0) for number in range(20)]
    random.Random(1).shuffle(runs)

    with ExitStack() as under_way:
        for run in runs:
            under_way.enter_context(setting.executor._registered(run))
        assert setting.executor.running() == runs
    assert setting.executor.running() == []
