"""Whatever is lost, in whatever order: each execution completes, and what it left is whole.

The order is drawn from CHAOS_SEED, which is printed; a run with the same seed draws the same.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from app.embedded.ports import LOOPBACK
from app.supervisor.guardian import Guardian
from tests.system.crew import Crew
from tests.system.ledger import Ledger, run_ledger
from tests.system.servers import ScratchValkey
from tests.system.stack import Managed, Stack, run_stack
from tests.system.traces import Trace, ask
from tests.waiting import wait_until

EXECUTIONS, NODES = 12, 8
#: Something is lost so many times, this long (s) after the time before.
LOSSES, EVERY_S = 10, (0.2, 0.8)

SETTINGS = {
    "WORKER_HEARTBEAT_INTERVAL_MS": "300",
    "WORKER_CLAIM_TIMEOUT_MS": "1500",
    # More than can happen here.
    "RECOVERY_MAX_FAILURE_COUNT": "100",
}


class Misfortune:
    """What can be lost, each by a method; `deaths` counts what may double an effect."""

    def __init__(
        self, stack: Stack, crew: Crew, valkey: ScratchValkey, dice: random.Random
    ) -> None:
        self._stack = stack
        self._crew = crew
        self._valkey = valkey
        self._dice = dice
        self.deaths = 0

    def strike(self) -> str:
        """Lose something; gives what."""
        loss: Callable[[], None] = self._dice.choice(
            [
                self.a_child,
                self.a_worker,
                self.a_frozen_worker,
                self.the_messages,
                self.redis,
                self.the_connections,
            ]
        )
        loss()
        return loss.__name__

    def a_child(self) -> None:
        self.deaths += 1
        self._dice.choice(self._any_worker().children()).kill()

    def a_worker(self) -> None:
        self.deaths += 1
        self._any_worker().kill_all()

    def a_frozen_worker(self) -> None:
        """Frozen past its lease, then going on: a zombie."""
        self.deaths += 1
        worker = self._any_worker()
        worker.freeze()
        thawed_at = time.monotonic() + 2.0
        wait_until(lambda: time.monotonic() > thawed_at, "it was frozen for long enough")
        worker.thaw()

    def the_messages(self) -> None:
        with Redis.from_url(self._valkey.url, protocol=2) as redis:
            redis.flushall()

    def redis(self) -> None:
        self._valkey.kill()
        self._valkey.start()

    def the_connections(self) -> None:
        """Every connection to PostgreSQL breaks at once; with them all dead-process locks."""
        self.deaths += 1
        ask(
            self._stack.database_url,
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )

    def _any_worker(self) -> Managed:
        wait_until(self._is_manned, "two workers are of use", 60)
        return self._dice.choice(self._crew.workers)

    def _is_manned(self) -> bool:
        # A worker whose child is killed before all have started ends by itself.
        self._crew.muster(2, wait=False)
        known = {each["workerId"] for each in self._stack.workers()}
        return all(worker.name in known and worker.children() for worker in self._crew.workers)


@pytest.fixture
def valkey(tmp_path: Path, guardian: Guardian) -> Iterator[ScratchValkey]:
    server = ScratchValkey(tmp_path / "valkey", guardian)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with run_ledger() as ledger:
        ledger.effect_s = 0.2
        yield ledger


@pytest.fixture
def stack(
    database_url: str, valkey: ScratchValkey, tmp_path: Path, guardian: Guardian
) -> Iterator[Stack]:
    environ = {"HTTP_NODE_ALLOW": LOOPBACK}
    with run_stack(
        database_url, valkey.url, tmp_path, guardian, workers=0, environ=environ
    ) as stack:
        yield stack


@pytest.mark.parametrize("dispatch", ["inline", "message"])
def test_whatever_is_lost_each_execution_completes(
    stack: Stack, valkey: ScratchValkey, ledger: Ledger, dispatch: str
) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(1_000_000))
    print("CHAOS_SEED", seed)  # noqa: T201 — to repeat it
    dice = random.Random(seed)
    crew = Crew(stack, STEP_DISPATCH=dispatch, **SETTINGS)
    crew.muster(2)
    misfortune = Misfortune(stack, crew, valkey, dice)
    flow_id = stack.store(ledger.chain(NODES))
    execution_ids = [stack.run(flow_id) for _ in range(EXECUTIONS)]
    for _ in range(LOSSES):
        print("lost:", misfortune.strike())  # noqa: T201 — to understand it
        next_at = time.monotonic() + dice.uniform(*EVERY_S)
        wait_until(lambda: time.monotonic() > next_at, "a little later")  # noqa: B023 — asked at once
    for execution_id in execution_ids:
        stack.await_status(execution_id, "completed", within_s=60)
    for execution_id in execution_ids:
        trace = Trace(stack, execution_id)
        trace.assert_completed_once()
        assert trace.interruptions <= misfortune.deaths
        starts = {node: len(attempts) for node, attempts in trace.attempts().items()}
        effects = ledger.counts(execution_id)
        assert effects.keys() == starts.keys()
        assert all(effects[node] <= starts[node] for node in starts)
