"""The leases' store on PostgreSQL: a process's registration, its lock, its renewals."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from app.store import run_statements, step_statements
from app.store import sweep_statements as sql
from app.store.own_session import OwnSession
from app.store.records import Fence, Renewed, WorkerRow
from app.store.sessions import Sessions, StatementSession


class PgLeaseStore(OwnSession):
    """What a process says of itself, and the lock that tells its death, on one connection.

    The lock lives and dies with the connection, so it is taken anew after every loss. Every
    method may raise StoreUnavailable.
    """

    def __init__(self, database: Sessions, worker: WorkerRow) -> None:
        super().__init__(database)
        self._worker = worker
        self._is_locked = False

    def _opened(self) -> StatementSession:
        if self._session is None or self._session.lost:
            # The lock was held by that connection.
            self._is_locked = False
        return super()._opened()

    def register(self) -> bool:
        """Say who this process is and hold its lock; does nothing, and gives False, where both
        is so. What it said is that it runs.

        While the server has not noticed that the last connection is gone, the lock is still
        held by that one: the next call tries again.
        """
        if self._session is not None and not self._session.lost and self._is_locked:
            return False
        row = self._worker
        self._run(
            sql.REGISTER,
            row.worker_id,
            row.parent_worker_id,
            row.hostname,
            row.pid,
            row.pool,
            row.concurrency,
            orjson.dumps(list(row.queues)).decode(),
            row.lease_ms,
            row.lock_key,
        )
        if self._session is not None and self._session.is_pooled:
            # The lock would be that of a session which outlives this process, or ends before it.
            # Without it the lease alone tells that the process is dead.
            self._is_locked = True
        elif self._run(sql.LOCK, row.lock_key)[0][0]:
            self._run(sql.LOCKED, row.worker_id)
            self._is_locked = True
        return True

    def set_status(self, status: str) -> None:
        """Say that this process is running or draining."""
        self._run(sql.SET_STATUS, self._worker.worker_id, status)

    def unregister(self) -> None:
        """Forget this process: it ends in good order and owns nothing."""
        self._run(sql.UNREGISTER, [self._worker.worker_id])

    def renew(self, fences: Sequence[Fence]) -> list[Renewed]:
        """Prolong the leases of what really runs here; gives those that still held."""
        worker = self._worker
        epochs = [fence.epoch for fence in fences]
        rows = self._run(
            run_statements.RENEW, worker.worker_id, *_names(fences), epochs, worker.lease_ms
        )
        renewed = [row for row in rows if row[0] is not None]
        if len(renewed) == len(rows):
            # Taken for dead when a connection broke: `register` has to say that this lives.
            self._is_locked = False
        return [Renewed(Fence(*row[:3]), *row[3:]) for row in renewed]

    def strays(self, fences: Sequence[Fence]) -> list[Fence]:
        """What this process has a claim on, for a second and longer, beside these."""
        rows = self._run(run_statements.STRAYS, self._worker.worker_id, *_names(fences))
        return [Fence(*row) for row in rows]

    def release(self, fences: Sequence[Fence]) -> None:
        """Give up what this process has claimed, for others to go on with at once."""
        for fence in fences:
            execution_id, epoch, node_id = fence.execution_id, fence.epoch, fence.node_id
            if node_id:
                self._run(step_statements.RELEASE_STEP, execution_id, node_id, epoch)
            else:
                self._run(run_statements.RELEASE, execution_id, epoch)


def _names(fences: Sequence[Fence]) -> tuple[list[str], list[str]]:
    return [fence.execution_id for fence in fences], [fence.node_id for fence in fences]
