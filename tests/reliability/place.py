"""A stack of its own for each promise: servers, an API, and a receiver of effects."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.embedded.ports import LOOPBACK
from app.supervisor.guardian import Guardian
from tests.system.ledger import Ledger, run_ledger
from tests.system.servers import ScratchPostgres, ScratchValkey
from tests.system.stack import Stack, run_stack
from tests.system.traces import ask
from tests.waiting import wait_until

#: What is promised is promised for these: they are what a worker has if nobody says otherwise.
DEFAULTS = {
    "WORKER_HEARTBEAT_INTERVAL_MS": "2000",
    "WORKER_CLAIM_TIMEOUT_MS": "10000",
    "RECOVERY_SCAN_INTERVAL_MS": "500",
}
ENVIRON = {**DEFAULTS, "HTTP_NODE_ALLOW": LOOPBACK}

#: As it is by default, but for the connections of several hundred threads.
POSTGRES = {"fsync": "on", "shared_buffers": "256MB", "max_connections": "500"}

#: How many executions one request creates.
BATCH = 250


@dataclass(frozen=True, slots=True)
class Place:
    """Servers, an API on them without any worker, and where effects go.

    `scale` is how much of each promise is looked at: 1 is all of it.
    """

    stack: Stack
    ledger: Ledger
    postgres: ScratchPostgres
    valkey: ScratchValkey
    scale: float

    def scaled(self, count: int, step: int = 1) -> int:
        """As much of a count, in whole steps, and one step at least."""
        return max(1, round(count * self.scale / step)) * step

    def ask(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        """Ask PostgreSQL, beside the stack."""
        return ask(self.postgres.url, statement, *arguments)

    def create(self, items: Sequence[dict[str, Any]]) -> list[str]:
        """Create executions; gives their ids, in order."""
        ids: list[str] = []
        for first in range(0, len(items), BATCH):
            body = {"items": list(items[first : first + BATCH])}
            answer = self.stack.http.post("/api/v1/executions/batch", json=body)
            assert answer.status_code == 201, answer.text
            ids += [each["id"] for each in answer.json()["items"]]
        return ids

    def command(self, execution_id: str, command: str, body: object = None) -> None:
        """Command an execution; it must be answered with 202."""
        answer = self.stack.http.post(f"/api/v1/executions/{execution_id}/{command}", json=body)
        assert answer.status_code == 202, answer.text

    def await_all_ended(self, within_s: float) -> None:
        """Wait until no execution is left that has not ended."""
        alive = "SELECT count(*) FROM chaingraph_executions WHERE completed_at IS NULL"
        wait_until(lambda: self.ask(alive) == [(0,)], "all executions have ended", within_s)


@dataclass(slots=True)
class Outcome:
    """What came of a promise: figures to show, and what of it was broken."""

    figures: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def hold(self, holds: bool, sentence: str) -> None:
        """Note what was broken, unless it holds."""
        if not holds:
            self.broken.append(sentence)


@contextmanager
def place(scale: float = 1.0) -> Iterator[Place]:
    """Start it all, and end it all."""
    directory = Path(tempfile.mkdtemp(prefix="chaingraph-reliability-"))
    directory.chmod(0o711)
    with ExitStack() as ending:
        ending.callback(shutil.rmtree, directory, ignore_errors=True)
        guardian = Guardian()
        ending.callback(guardian.close)
        postgres = ScratchPostgres(directory / "postgres", guardian, **POSTGRES)
        ending.callback(postgres.remove)
        postgres.start()
        postgres.create_schema()
        valkey = ScratchValkey(directory / "valkey", guardian)
        ending.callback(valkey.kill)
        valkey.start()
        ledger = ending.enter_context(run_ledger())
        stack = ending.enter_context(
            run_stack(postgres.url, valkey.url, directory, guardian, workers=0, environ=ENVIRON)
        )
        yield Place(stack, ledger, postgres, valkey, scale)
