"""Where nothing is wrong, nothing is said above the level of information."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.supervisor.guardian import Guardian
from tests.system.ledger import Ledger
from tests.system.servers import ScratchValkey
from tests.system.stack import Stack, run_stack
from tests.system.survival.conftest import ENVIRON

LEVELS = {"debug", "info"}

#: What Celery draws when it starts, and what gunicorn says.
BANNERS = re.compile(
    r"""
    \s* $
    | [ ] -+ [ ] \S+@\S+ [ ] v5\.
    | [-* ]+ (\s* Linux-\S+ [ ] [-0-9]+ [ ] [:0-9]+ | \s* \[(config|queues)\] | [ ] \.> [ ] .* )? $
    | [ ]+ \.> [ ] \S+ \s+ exchange=
    | worker: [ ] Warm [ ] shutdown
    | \[[^]]+\] [ ] \[\d+\] [ ] \[INFO\] [ ]
    """,
    re.VERBOSE,
)


def complaints(log: Path) -> Iterator[str]:
    for line in log.read_text().splitlines():
        if line.startswith("{"):
            if json.loads(line)["level"] not in LEVELS:
                yield line
        elif not BANNERS.match(line):
            yield line


@pytest.mark.parametrize("pool", ["prefork", pytest.param("threads", marks=pytest.mark.soak)])
def test_a_quiet_run_complains_of_nothing(
    site_valkey: ScratchValkey,
    database_url: str,
    ledger: Ledger,
    tmp_path: Path,
    guardian: Guardian,
    pool: str,
) -> None:
    environ = {**ENVIRON, "LOG_FORMAT": "json", "WORKER_POOL": pool}
    ledger.effect_s = 0.0
    with run_stack(
        database_url, site_valkey.url, tmp_path, guardian, workers=0, environ=environ
    ) as stack:
        worker = stack.start_worker(pool=pool)
        run_a_few(stack, ledger)
        logs = [process.log for process in stack.processes]
        assert worker.terminate() == 0
    assert len(logs) == 2
    assert [line for log in logs for line in complaints(log)] == []


def run_a_few(stack: Stack, ledger: Ledger) -> None:
    flow_id = stack.store(ledger.chain(3))
    execution_ids = [stack.run(flow_id) for _ in range(10)]
    waiting = stack.http.post("/api/v1/executions", json={"flowId": flow_id}).json()["id"]
    stack.http.post(f"/api/v1/executions/{waiting}/start")
    for execution_id in [*execution_ids, waiting]:
        stack.await_status(execution_id, "completed")
