"""The statements of signals.

A signal is kept, in the order of arrival, until it is given to a node that waits for its name:
the first in document order. Which node that is stands in the signal's row, and only once: a
unique index holds that a node's wait ends once, with a signal or, as a row without one, by its
time. Whoever gives a signal or ends a wait has locked the execution's row before, and sees what is
as new as its lock; so has the statement that writes a wait. What a run makes of it, the node's last checkpoint, comes later and
may be lost with its process: it is made again from that row.
"""

from __future__ import annotations

from app.store.audit import BY_TYPES, noted
from app.store.session import Statement

#: (execution): its status, with its row locked until the transaction ends.
LOCK = Statement(
    "lock_execution",
    "text",
    "SELECT status FROM chaingraph_executions WHERE id = $1 FOR UPDATE",
)

#: (execution, epoch): the same for its owner; no row where the fence is void.
LOCK_OWN = Statement(
    "lock_own_execution",
    "text, int",
    """
    SELECT status FROM chaingraph_executions
    WHERE id = $1 AND epoch = $2 AND completed_at IS NULL
    FOR UPDATE
    """,
)

#: (execution, name, payload, most, who, token): keep a signal; no row where as many are kept as may be.
KEEP = Statement(
    "keep_signal",
    "text, text, text, int" + BY_TYPES,
    f"""
    WITH kept AS (
        INSERT INTO chaingraph_signals (execution_id, name, payload, sent_at)
        SELECT $1, $2, $3::json, clock_timestamp()
        WHERE $4 > (SELECT count(*) FROM chaingraph_signals
            WHERE execution_id = $1 AND node_id IS NULL)
        RETURNING id, execution_id
    ), noted AS ({noted("'signal'", "execution", "kept", 5, "execution_id")})
    SELECT id FROM kept
    """,
)

#: (execution): the nodes that wait for a signal, in document order: id, name, until when.
OPEN_WAITS = Statement(
    "open_signal_waits",
    "text",
    """
    WITH waiting AS MATERIALIZED (
        SELECT node_id, outputs, retry_at FROM chaingraph_checkpoints
        WHERE execution_id = $1 AND status = 'waiting' AND error IS NULL
    )
    SELECT w.node_id, w.outputs ->> '$signal', w.retry_at
    FROM waiting AS w
    WHERE w.outputs ->> '$signal' IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM chaingraph_signals AS s
            WHERE s.execution_id = $1 AND s.node_id = w.node_id)
    ORDER BY (w.outputs ->> '$place')::int
    """,
)

#: (execution, names): what is kept, in the order of arrival: id, name, when it came.
KEPT = Statement(
    "kept_signals",
    "text, text[]",
    """
    SELECT id, name, sent_at FROM chaingraph_signals
    WHERE execution_id = $1 AND node_id IS NULL AND name = ANY ($2)
    ORDER BY id
    """,
)

#: (execution, signals, nodes): give each signal to its node.
GIVE = Statement(
    "give_signals",
    "text, bigint[], text[]",
    """
    UPDATE chaingraph_signals AS s
    SET node_id = u.node_id, taken_at = statement_timestamp()
    FROM unnest($2, $3) AS u(id, node_id)
    WHERE s.execution_id = $1 AND s.id = u.id
    """,
)

#: (execution): a signal was given to a node: whoever parks now looks again; who parked is
#: runnable, and who is paused finds it when it is resumed.
GIVEN = Statement(
    "signal_given",
    "text",
    """
    UPDATE chaingraph_executions
    SET wake = wake + 1,
        runnable_at = CASE WHEN processing_worker_id IS NULL AND status = 'running'
            THEN coalesce(runnable_at, clock_timestamp()) ELSE runnable_at END,
        waiting = CASE WHEN status <> 'running' THEN waiting END
    WHERE id = $1 AND completed_at IS NULL
    RETURNING processing_worker_id, runnable_at IS NOT NULL
    """,
)

#: (execution, signal): the node that it was given to.
RECEIVER = Statement(
    "signal_receiver",
    "text, bigint",
    "SELECT node_id FROM chaingraph_signals WHERE execution_id = $1 AND id = $2",
)

#: (execution): the nodes whose waits have ended, and the names of what is kept.
STANDING = Statement(
    "signals_standing",
    "text",
    "SELECT DISTINCT node_id, name FROM chaingraph_signals WHERE execution_id = $1",
)

#: (execution, epoch, nodes, names): how the waits of these nodes ended, each in a row, and
#: whether signals of these names are kept. One row, with no node, where none ended; none where
#: the fence is void.
TAKEN = Statement(
    "signals_taken",
    "text, int, text[], text[]",
    """
    SELECT EXISTS (SELECT 1 FROM chaingraph_signals AS k
            WHERE k.execution_id = $1 AND k.node_id IS NULL AND k.name = ANY ($4)),
        s.node_id, s.payload::text, s.timed_out,
        greatest(0, 1000 * extract(epoch FROM s.taken_at - c.started_at))::bigint
    FROM chaingraph_executions AS e
    LEFT JOIN chaingraph_signals AS s ON s.execution_id = e.id AND s.node_id = ANY ($3)
    LEFT JOIN chaingraph_checkpoints AS c
        ON c.execution_id = s.execution_id AND c.node_id = s.node_id
    WHERE e.id = $1 AND e.epoch = $2 AND e.completed_at IS NULL
    ORDER BY s.id
    """,
)

#: (execution, epoch, node, name): the time of a wait is up, unless a signal was quicker.
END_WAIT = Statement(
    "end_signal_wait",
    "text, int, text, text",
    """
    WITH guard AS MATERIALIZED (
        SELECT id FROM chaingraph_executions
        WHERE id = $1 AND epoch = $2 AND completed_at IS NULL
        FOR UPDATE
    )
    INSERT INTO chaingraph_signals (execution_id, name, sent_at, node_id, taken_at, timed_out)
    SELECT id, $4, clock_timestamp(), $3, clock_timestamp(), true FROM guard
    ON CONFLICT (execution_id, node_id) WHERE node_id IS NOT NULL DO NOTHING
    """,
)
