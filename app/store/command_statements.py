"""The statements of commands, one for each thing that a command may come to.

Where an owner lives, or a sent step is under way, the command is requested of it and the status
stays; where nobody owns, the status changes here. Each statement is void in any other state.
"""

from __future__ import annotations

from app.store.audit import BY_TYPES, noted
from app.store.run_statements import deadline_of, ms_until, waiting_from_now
from app.store.session import Statement

#: Nobody writes for the execution, and no node of it runs. (What is left of a sent step once
#: its checkpoint is written is granted no more.)
_IS_FREE = """
    processing_worker_id IS NULL AND NOT EXISTS (
        SELECT 1 FROM chaingraph_execution_claims AS c
        WHERE c.execution_id = chaingraph_executions.id AND c.node_id <> ''
            AND chaingraph_executions.grants ->> c.node_id IS NOT NULL)
"""

_TOLD = """
    INSERT INTO chaingraph_event_batches (execution_id, first_index, written_at, types, data)
    SELECT id, last_event_index, updated_at, ARRAY[{type}], json_build_array({data}) FROM guard
    RETURNING first_index, written_at, types,
        ARRAY(SELECT each::text FROM json_array_elements(data) AS each)
"""

#: (execution, reason, who, token): request a pause of the owner. A run that is about to park
#: looks again.
REQUEST_PAUSE = Statement(
    "request_pause",
    "text, text" + BY_TYPES,
    f"""
    WITH guard AS (
        UPDATE chaingraph_executions
        SET requested = 'pause', requested_reason = $2, requested_seq = requested_seq + 1,
            wake = wake + 1
        WHERE id = $1 AND status = 'running' AND requested IS NULL AND NOT ({_IS_FREE})
        RETURNING id, processing_worker_id
    ), noted AS ({noted("'pause'", "execution", "guard", 3)})
    SELECT processing_worker_id FROM guard
    """,
)

#: (execution, reason, who, token): pause what nobody owns.
PAUSE = Statement(
    "pause",
    "text, text" + BY_TYPES,
    f"""
    WITH guard AS (
        UPDATE chaingraph_executions
        SET status = 'paused', epoch = epoch + 1, writes = writes + 1,
            requested_seq = requested_seq + 1, runnable_at = NULL, wake_at = NULL,
            deadline_at = NULL, deadline_left_ms = {ms_until(deadline_of())},
            waiting = {waiting_from_now("'resume'", "'{}'::json")},
            updated_at = date_trunc('milliseconds', statement_timestamp()),
            last_event_index = last_event_index + 1
        WHERE id = $1 AND status = 'running' AND requested IS NULL AND {_IS_FREE}
        RETURNING id, last_event_index, updated_at
    ), noted AS ({noted("'pause'", "execution", "guard", 3)})
    {_TOLD.format(type="'flow:paused'", data="json_build_object('reason', $2)")}
    """,
)

#: (execution, who, token): withdraw a pause that is not effective yet. What is parked looks again.
WITHDRAW_PAUSE = Statement(
    "withdraw_pause",
    "text" + BY_TYPES,
    f"""
    WITH guard AS (
        UPDATE chaingraph_executions
        SET requested = NULL, requested_reason = NULL, requested_seq = requested_seq + 1,
            wake = wake + 1,
            runnable_at = CASE WHEN processing_worker_id IS NULL
                THEN coalesce(runnable_at, clock_timestamp()) END
        WHERE id = $1 AND status = 'running' AND requested = 'pause'
        RETURNING id, processing_worker_id
    ), noted AS ({noted("'resume'", "execution", "guard", 2)})
    SELECT processing_worker_id FROM guard
    """,
)


def _go_on(name: str, types: str, command: str, requested: str, which: str = "") -> Statement:
    first = types.count(",") + 2
    return Statement(
        name,
        types + BY_TYPES,
        f"""
    WITH guard AS (
        UPDATE chaingraph_executions
        SET status = 'running', epoch = epoch + 1, writes = writes + 1, wake = wake + 1,
            requested = {requested}, requested_seq = requested_seq + 1,
            waiting = NULL, runnable_at = clock_timestamp(), deadline_left_ms = NULL,
            deadline_at = statement_timestamp() + deadline_left_ms * interval '1 ms',
            wake_at = statement_timestamp() + deadline_left_ms * interval '1 ms',
            updated_at = date_trunc('milliseconds', statement_timestamp()),
            last_event_index = last_event_index + 1
        WHERE id = $1 AND status = 'paused' {which}
        RETURNING id, last_event_index, updated_at
    ), noted AS ({noted(command, "execution", "guard", first)})
    {_TOLD.format(type="'flow:resumed'", data="'{}'::json")}
    """,
    )


#: (execution, who, token): have a paused execution go on.
RESUME = _go_on("resume", "text", "'resume'", "NULL")
#: (execution, writes, who, token): have it run one node, if nothing was written since its
#: readiness was read.
REQUEST_STEP = _go_on("request_step", "text, int", "'step'", "'step'", "AND writes = $2")

#: (execution): its status, and what is requested of its owner.
STANDING = Statement(
    "standing",
    "text",
    "SELECT status, requested FROM chaingraph_executions WHERE id = $1",
)
