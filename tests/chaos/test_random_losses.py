"""Whatever is lost, in whatever order: each execution completes, and what it left is whole.

The order is drawn from CHAOS_SEED, which is printed; a run with the same seed draws the same.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.embedded.ports import LOOPBACK
from app.supervisor.guardian import Guardian
from tests.chaos.losses import Misfortune, pause
from tests.system.crew import Crew
from tests.system.ledger import Ledger, run_ledger
from tests.system.servers import ScratchValkey
from tests.system.stack import Stack, run_stack
from tests.system.traces import Trace

EXECUTIONS, NODES = 12, 8
#: Something is lost so many times, this long (s) after the time before.
LOSSES, EVERY_S = 10, (0.2, 0.8)

SETTINGS = {
    "WORKER_HEARTBEAT_INTERVAL_MS": "300",
    "WORKER_CLAIM_TIMEOUT_MS": "1500",
    # More than can happen here.
    "RECOVERY_MAX_FAILURE_COUNT": "100",
}


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
        pause(dice.uniform(*EVERY_S))
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
