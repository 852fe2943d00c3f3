"""Who runs executions at the moment."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy import Row

from app.caller import Caller
from app.events.wire import timestamp
from app.executions.views import loaded
from app.store.executions import ExecutionTable
from app.values.ports import Value


class WorkerDirectory:
    """The workers alive: one entry per worker, whatever processes it has."""

    def __init__(self, table: ExecutionTable) -> None:
        self._table = table

    def list(self, caller: Caller) -> list[dict[str, Value]]:
        """Show the workers with what the caller sees of what runs there.

        Raises StoreUnavailable.
        """
        rows = self._table.workers()
        worker_of = {row.worker_id: row.parent_worker_id or row.worker_id for row in rows}
        active: dict[str, list[str]] = defaultdict(list)
        for claim in self._table.active_claims(caller.scope):
            active[worker_of.get(claim.worker_id, claim.worker_id)].append(claim.execution_id)
        return [_worker(row, active[row.worker_id]) for row in rows if not row.parent_worker_id]


def _worker(row: Row[Any], active: list[str]) -> dict[str, Value]:
    return {
        "workerId": row.worker_id,
        "hostname": row.hostname,
        "pid": row.pid,
        "pool": row.pool,
        "concurrency": row.concurrency,
        "queues": loaded(row.queues),
        "active": active,
        "status": row.status,
        "startedAt": timestamp(row.started_at),
        "lastHeartbeatAt": timestamp(row.last_heartbeat_at),
    }
