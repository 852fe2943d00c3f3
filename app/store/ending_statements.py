"""The statements that end executions from outside, level by level, in one transaction.

Locks go from the root down, and within a level in the order of ids. What locks a level is a
statement of its own: whoever claims an execution, sends steps or inserts children has locked its row
first, so that the statement after the lock sees all that; one that had waited for it would not.
"""

from __future__ import annotations

from app.store.run_statements import CHILD_ENDED
from app.store.session import Statement


def _lock(name: str, which: str) -> Statement:
    return Statement(
        name,
        "text[]",
        f"""
    SELECT id FROM chaingraph_executions
    WHERE {which} = ANY ($1) AND completed_at IS NULL
    ORDER BY id
    FOR UPDATE
    """,
    )


#: (executions): lock these, as far as they are not final.
LOCK = _lock("lock_executions", "id")
#: (parents): the same for their children.
LOCK_CHILDREN = _lock("lock_children", "parent_execution_id")

#: (executions, status, message, error type): end these, which are locked.
END = Statement(
    "end_executions",
    "text[], text, text, text",
    f"""
    WITH guard AS (
        UPDATE chaingraph_executions AS e
        SET epoch = epoch + 1, writes = writes + 1, status = $2, error_message = $3,
            completed_at = date_trunc('milliseconds', statement_timestamp()),
            updated_at = date_trunc('milliseconds', statement_timestamp()),
            requested = NULL, requested_reason = NULL, waiting = NULL, runnable_at = NULL,
            wake_at = NULL, {CHILD_ENDED}, last_event_index = last_event_index + 2
        WHERE e.id = ANY ($1) AND e.completed_at IS NULL
        RETURNING e.id, e.last_event_index - 1 AS first, e.updated_at AS at,
            e.processing_worker_id AS worker,
            coalesce(greatest(0, 1000 * extract(epoch FROM e.updated_at - e.started_at)), 0)::bigint
                AS ms
    ), lease AS (
        UPDATE chaingraph_execution_claims SET status = 'released', expires_at = NULL
        FROM guard WHERE execution_id = guard.id AND node_id = ''
    ), steps AS (
        DELETE FROM chaingraph_execution_claims AS c
        USING guard WHERE c.execution_id = guard.id AND c.node_id <> ''
        RETURNING c.execution_id, c.worker_id, c.status
    ), told AS (
        INSERT INTO chaingraph_event_batches (execution_id, first_index, written_at, types, data)
        SELECT id, first, at,
            CASE $2 WHEN 'stopped' THEN ARRAY['flow:cancelled', 'execution:stopped']
                ELSE ARRAY['flow:failed', 'execution:failed'] END,
            CASE $2 WHEN 'stopped' THEN json_build_array(
                json_build_object('executionTimeMs', ms, 'reason', $3),
                json_build_object('executionTimeMs', ms, 'reason', $3))
            ELSE json_build_array(
                json_build_object('executionTimeMs', ms,
                    'error', json_build_object('type', $4, 'message', $3)),
                json_build_object('executionTimeMs', ms,
                    'errorMessage', $3, 'errorNodeId', NULL)) END
        FROM guard
        RETURNING execution_id, types, data
    )
    SELECT guard.id, guard.first, guard.at, told.types,
        ARRAY(SELECT each::text FROM json_array_elements(told.data) AS each),
        array_remove(array_append(
            (SELECT array_agg(DISTINCT worker_id) FROM steps
                WHERE steps.execution_id = guard.id AND steps.status = 'active'),
            guard.worker), NULL)
    FROM guard JOIN told ON told.execution_id = guard.id
    ORDER BY guard.id
    """,
)

#: (parents): nobody is left to be told of the ends of their children.
NOTE_ALL = Statement(
    "note_all_children",
    "text[]",
    """
    UPDATE chaingraph_executions SET child_state = 'told'
    WHERE parent_execution_id = ANY ($1) AND child_state = 'untold'
    """,
)
