"""The statements that find executions whose time is up, for whoever ends them.

Each locks what it finds, and passes by what another holds; the caller ends them in the same
transaction (app.store.endings). They give (execution, message).
"""

from __future__ import annotations

from app.store.run_statements import deadline_of
from app.store.session import Statement
from app.store.sweep_statements import NOW_ONCE

#: (limit): what nobody started in time. A start that is requested clears `wake_at`.
UNSTARTED = Statement(
    "unstarted",
    "int",
    f"""
    SELECT id, format('start signal not received within %s ms',
        round(1000 * extract(epoch FROM wake_at - created_at)))
    FROM chaingraph_executions
    WHERE wake_at <= {NOW_ONCE} AND start_requested_at IS NULL AND completed_at IS NULL
    ORDER BY wake_at LIMIT $1
    FOR UPDATE SKIP LOCKED
    """,
)

_LATE = "format('flow not done within %s ms', e.options #>> '{execution,flowTimeoutMs}')"

#: (limit): flows whose time is up while nobody owns them.
OVERDUE = Statement(
    "overdue",
    "int",
    f"""
    SELECT e.id, {_LATE}
    FROM chaingraph_executions AS e
    WHERE e.wake_at <= {NOW_ONCE} AND e.deadline_at <= clock_timestamp()
        AND e.completed_at IS NULL
    ORDER BY e.wake_at LIMIT $1
    FOR UPDATE SKIP LOCKED
    """,
)

#: (limit, grace ms): flows whose time was up so long ago that their owner can't have looked.
OVERRUN = Statement(
    "overrun",
    "int, int",
    f"""
    SELECT e.id, {_LATE}
    FROM chaingraph_execution_claims AS c JOIN chaingraph_executions AS e ON e.id = c.execution_id
    WHERE c.status = 'active' AND c.node_id = '' AND e.completed_at IS NULL
        AND {deadline_of("e.")} <= clock_timestamp() - $2 * interval '1 ms'
    LIMIT $1
    FOR UPDATE OF e SKIP LOCKED
    """,
)
