"""Taking an execution from its owner because somebody asked for it, not because it was lost."""

from __future__ import annotations

from app.caller import Caller
from app.store.audit import BY_TYPES, by, noted
from app.store.records import Effect, Told
from app.store.run_statements import deadline_of
from app.store.session import Statement
from app.store.sessions import Sessions

#: Whether it is to move: neither before its start nor while it is paused.
_MOVES = "(e.start_requested_at IS NOT NULL AND e.status <> 'paused')"

#: (execution, by whom, who, token): its owner and the owners of its sent steps have lost it; no crash is
#: counted. Void where it is final.
TAKE_OVER = Statement(
    "take_over",
    "text, text" + BY_TYPES,
    f"""
    WITH before AS MATERIALIZED (
        SELECT id, status, processing_worker_id AS worker FROM chaingraph_executions
        WHERE id = $1 AND completed_at IS NULL
        FOR UPDATE
    ), guard AS (
        UPDATE chaingraph_executions AS e
        SET epoch = e.epoch + 1, writes = e.writes + 1,
            processing_worker_id = NULL, processing_started_at = NULL,
            runnable_at = CASE WHEN {_MOVES} THEN coalesce(e.runnable_at, clock_timestamp()) END,
            waiting = CASE WHEN {_MOVES} THEN NULL ELSE e.waiting END,
            deadline_at = CASE WHEN {_MOVES} THEN {deadline_of("e.")} ELSE e.deadline_at END,
            wake_at = CASE WHEN {_MOVES} THEN {deadline_of("e.")} ELSE e.wake_at END,
            updated_at = date_trunc('milliseconds', statement_timestamp()),
            last_event_index = e.last_event_index + 1
        FROM before WHERE e.id = before.id
        RETURNING e.id, e.last_event_index, e.updated_at, before.status, before.worker
    ), lease AS (
        UPDATE chaingraph_execution_claims SET status = 'expired'
        FROM guard WHERE execution_id = guard.id AND node_id = ''
            AND chaingraph_execution_claims.status = 'active'
    ), steps AS (
        UPDATE chaingraph_execution_claims AS c
        SET status = 'expired', result = json_build_object(
            'reason', 'requested', 'previousWorkerId', c.worker_id, 'workerId', $2)
        FROM guard WHERE c.execution_id = guard.id AND c.node_id <> '' AND c.status = 'active'
        RETURNING c.worker_id
    ), audit AS (
        INSERT INTO chaingraph_execution_recovery
            (execution_id, recovered_by_worker, recovery_reason, previous_status,
             previous_worker_id)
        SELECT id, $2, 'requested', status, worker FROM guard
        UNION ALL
        SELECT guard.id, $2, 'requested', guard.status, steps.worker_id FROM guard, steps
    ), noted AS ({noted("'recover'", "execution", "guard", 3)}), told AS (
        INSERT INTO chaingraph_event_batches (execution_id, first_index, written_at, types, data)
        SELECT id, last_event_index, updated_at, ARRAY['execution:recovered'], json_build_array(
            json_build_object('reason', 'requested', 'previousWorkerId', worker, 'workerId', $2))
        FROM guard
        RETURNING first_index, written_at, types,
            ARRAY(SELECT each::text FROM json_array_elements(data) AS each) AS data
    )
    SELECT told.first_index, told.written_at, told.types, told.data, array_remove(
        (SELECT array_agg(DISTINCT worker_id) FROM steps) || guard.worker, NULL)
    FROM guard, told
    """,
)


class TakeoverTable:
    """Executions and whoever has them. Every method may raise StoreUnavailable."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def take_over(
        self, execution_id: str, name: str, caller: Caller | None = None
    ) -> Effect | None:
        """Take an execution from its owner, for another to go on from the last checkpoint.

        What was not started yet, or is paused, loses its owner too, and stays where it is.
        It is told under this name. None where the execution is final or isn't there.
        """
        with self._sessions.session() as session:
            for first, at, types, data, owners in session.execute(
                TAKE_OVER, execution_id, name, *by(caller)
            ):
                told = Told(first, at, list(zip(types, data, strict=True)))
                return Effect(execution_id, told, owners or ())
        return None
