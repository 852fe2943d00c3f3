"""The statements of the keeper: registration, the dead-process lock, the sweep."""

from __future__ import annotations

from app.store.run_statements import CHILD_ENDED, deadline_of
from app.store.session import Statement

#: SQL for a condition, always true, that has a statement's commit wait for no disk. Only where a
#: crash of the server may take it back; what others commit upon it is durable no sooner than it.
UNHURRIED = "set_config('synchronous_commit', 'off', true) = 'off'"
#: The time as the one value that an index is searched for; `clock_timestamp()` is a new one for
#: each row, so that every row would have to be read.
NOW_ONCE = "(SELECT clock_timestamp())"

#: (worker, parent, hostname, pid, pool, concurrency, queues, lease ms, lock key). A name may be
#: that of a process before this one: nothing that it said of itself holds for this one.
REGISTER = Statement(
    "register_worker",
    "text, text, text, int, text, int, text, int, bigint",
    """
    INSERT INTO chaingraph_workers AS w
        (worker_id, parent_worker_id, hostname, pid, pool, concurrency, queues, lease_ms, lock_key)
    VALUES ($1, $2, $3, $4, $5, $6, $7::json, $8, $9)
    ON CONFLICT (worker_id) DO UPDATE
    SET lock_server_started_at = NULL, last_heartbeat_at = clock_timestamp(),
        status = 'running', hostname = excluded.hostname, pid = excluded.pid,
        pool = excluded.pool, concurrency = excluded.concurrency, queues = excluded.queues,
        lease_ms = excluded.lease_ms
    """,
)

#: (lock key): take the session's lock, if it is free.
LOCK = Statement("lock_process", "bigint", "SELECT pg_try_advisory_lock($1)")

#: (worker): the lock is held, under the server as it runs now.
LOCKED = Statement(
    "note_lock",
    "text",
    """
    UPDATE chaingraph_workers SET lock_server_started_at = pg_postmaster_start_time()
    WHERE worker_id = $1
    """,
)

#: (worker, status)
SET_STATUS = Statement(
    "set_worker_status",
    "text, text",
    "UPDATE chaingraph_workers SET status = $2 WHERE worker_id = $1",
)

#: (workers)
UNREGISTER = Statement(
    "unregister_workers",
    "text[]",
    "DELETE FROM chaingraph_workers WHERE worker_id = ANY ($1)",
)

#: (worker, interval ms): move the beat on, if it is due; whoever gets the row sweeps. Gives how
#: soon (ms) it is due, 0 to who got it. A look at a beat that is taken at this very moment sees
#: the one before, and asks again at once. It waits for no disk: a beat that a crash of the server
#: takes back is taken again.
BEAT = Statement(
    "beat",
    "text, int",
    f"""
    WITH taken AS (
        INSERT INTO chaingraph_beat AS b (id, swept_at, worker_id)
        VALUES (1, clock_timestamp(), $1)
        ON CONFLICT (id) DO UPDATE SET swept_at = clock_timestamp(), worker_id = $1
        WHERE b.swept_at <= clock_timestamp() - $2 * interval '1 ms'
        RETURNING id
    )
    SELECT CASE WHEN EXISTS (SELECT FROM taken) THEN 0 ELSE greatest(1, coalesce((
        SELECT ceil(1000 * extract(epoch FROM swept_at - clock_timestamp()))::int + $2
        FROM chaingraph_beat WHERE id = 1
    ), 1)) END
    WHERE {UNHURRIED}
    """,
)

#: (worker, dead workers): take the beat at once if one of these has it.
INHERIT_BEAT = Statement(
    "inherit_beat",
    "text, text[]",
    f"""
    UPDATE chaingraph_beat SET swept_at = clock_timestamp(), worker_id = $1
    WHERE id = 1 AND worker_id = ANY ($2) AND {UNHURRIED}
    RETURNING id
    """,
)

#: How many workers there are: each sweeps in turn.
SWEEPERS = Statement(
    "sweepers",
    "",
    "SELECT count(*)::int FROM chaingraph_workers WHERE parent_worker_id IS NULL",
)

#: Processes whose lock is free although it was taken under the server as it runs now.
UNLOCKED = Statement(
    "unlocked_workers",
    "",
    """
    WITH held AS MATERIALIZED (
        SELECT (classid::bigint << 32) | objid::bigint AS key
        FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 1
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    )
    SELECT worker_id FROM chaingraph_workers
    WHERE lock_server_started_at = pg_postmaster_start_time()
        AND lock_key NOT IN (SELECT key FROM held)
    """,
)

#: (workers, limit): what dead processes own.
CLAIMS_OF = Statement(
    "claims_of",
    "text[], int",
    """
    SELECT execution_id, epoch, worker_id, node_id FROM chaingraph_execution_claims
    WHERE status = 'active' AND worker_id = ANY ($1) LIMIT $2
    """,
)

#: (limit): claims whose lease is over.
EXPIRED = Statement(
    "expired_claims",
    "int",
    """
    SELECT execution_id, epoch, worker_id, node_id FROM chaingraph_execution_claims
    WHERE status = 'active' AND expires_at < clock_timestamp()
    ORDER BY expires_at LIMIT $1
    """,
)

#: Processes silent for three of their leases, their lock unknown: of servers gone for good.
SILENT = Statement(
    "silent_workers",
    "",
    """
    SELECT worker_id FROM chaingraph_workers AS w
    WHERE last_heartbeat_at < clock_timestamp() - 3 * lease_ms * interval '1 ms'
        AND lock_server_started_at IS DISTINCT FROM pg_postmaster_start_time()
        AND NOT EXISTS (
            SELECT 1 FROM chaingraph_execution_claims AS c
            WHERE c.worker_id = w.worker_id AND c.status = 'active')
    """,
)

_COUNTS = "CASE WHEN $3 IN ('worker_died', 'expired_claim') THEN 1 ELSE 0 END"

_TAKEN = f"""
            epoch = epoch + 1, writes = writes + 1,
            failure_count = failure_count + {_COUNTS}, crashes = crashes + {_COUNTS},
            last_failure_reason = $3, last_failure_at = clock_timestamp(),
            processing_worker_id = NULL, processing_started_at = NULL,
            updated_at = date_trunc('milliseconds', clock_timestamp())
"""

_AUDIT = """
    before AS MATERIALIZED (
        SELECT status FROM chaingraph_executions WHERE id = $1
    ), audit AS (
        INSERT INTO chaingraph_execution_recovery
            (execution_id, recovered_by_worker, recovery_reason, previous_status,
             previous_worker_id)
        SELECT guard.id, $4, $3, before.status, $5 FROM guard, before
    ), lease AS (
        UPDATE chaingraph_execution_claims SET status = 'expired'
        FROM guard WHERE execution_id = guard.id AND node_id = '' AND status = 'active'
    )
"""

_TOLD = """
    SELECT told.first_index + (e.place - 1)::int, e.type, told.written_at, e.data::text
    FROM told, ROWS FROM (unnest(told.types), json_array_elements(told.data)) WITH ORDINALITY
        AS e(type, data, place)
"""

#: (execution, epoch, reason, by worker, previous worker, most crashes): take it from its
#: owner for another to go on with. Void where it crashed too often.
RECOVER = Statement(
    "recover",
    "text, int, text, text, text, int",
    f"""
    WITH guard AS (
        UPDATE chaingraph_executions
        SET {_TAKEN}, runnable_at = clock_timestamp(),
            deadline_at = {deadline_of()}, wake_at = {deadline_of()},
            last_event_index = last_event_index + 1
        WHERE id = $1 AND epoch = $2 AND status IN ('created', 'running')
            AND crashes + {_COUNTS} < $6
        RETURNING id, last_event_index, updated_at
    ), {_AUDIT}, told AS (
        INSERT INTO chaingraph_event_batches (execution_id, first_index, written_at, types, data)
        SELECT id, last_event_index, updated_at, ARRAY['execution:recovered'], json_build_array(
            json_build_object('reason', $3, 'previousWorkerId', $5, 'workerId', $4))
        FROM guard
        RETURNING first_index, written_at, types, data
    )
    {_TOLD}
    """,
)

#: What a row's owner ran when it was lost: its grants, in words.
_RAN = """(SELECT string_agg(format('node ''%s'' ran (attempt %s)', g.key, g.value), ', ')
                    FROM json_each_text(grants) AS g)"""

#: The processes that were lost, the latest last; the row of this loss isn't there yet.
_LOST = """(SELECT string_agg(lost.name, ', ' ORDER BY lost.id) FROM (
                    SELECT id, previous_worker_id AS name FROM chaingraph_execution_recovery
                    WHERE execution_id = $1
                        AND recovery_reason IN ('worker_died', 'expired_claim')
                    ORDER BY id DESC LIMIT least($6, 10) - 1) AS lost)"""

_WHY_GIVEN_UP = f"""format('given up: its worker was lost %s times since the last checkpoint', $6)
                || coalesce(', while ' || {_RAN}, '')
                || '; lost: ' || concat_ws(', ', {_LOST}, $5)"""

#: The one node that ran, if it was one.
_CULPRIT = """(SELECT min(k) FROM json_object_keys(grants) AS k HAVING count(*) = 1)"""

#: The same parameters: fail for good what crashed too often.
GIVE_UP = Statement(
    "give_up",
    "text, int, text, text, text, int",
    f"""
    WITH guard AS (
        UPDATE chaingraph_executions
        SET {_TAKEN}, status = 'failed', runnable_at = NULL, requested = NULL,
            requested_reason = NULL, waiting = NULL, wake_at = NULL, {CHILD_ENDED},
            started_at = coalesce(started_at, date_trunc('milliseconds', clock_timestamp())),
            completed_at = date_trunc('milliseconds', clock_timestamp()),
            error_message = {_WHY_GIVEN_UP}, error_node_id = {_CULPRIT},
            last_event_index = last_event_index + 2
        WHERE id = $1 AND epoch = $2 AND status IN ('created', 'running')
            AND crashes + {_COUNTS} >= $6
        RETURNING id, last_event_index, updated_at, error_message, error_node_id,
            greatest(0, 1000 * extract(epoch FROM updated_at - started_at))::bigint AS ms
    ), {_AUDIT}, steps AS (
        DELETE FROM chaingraph_execution_claims AS c
        USING guard WHERE c.execution_id = guard.id AND c.node_id <> ''
    ), told AS (
        INSERT INTO chaingraph_event_batches (execution_id, first_index, written_at, types, data)
        SELECT id, last_event_index - 1, updated_at, ARRAY['flow:failed', 'execution:failed'],
            json_build_array(
                json_build_object('executionTimeMs', ms,
                    'error', json_build_object('type', 'WorkerLost', 'message', error_message)),
                json_build_object('executionTimeMs', ms,
                    'errorMessage', error_message, 'errorNodeId', error_node_id))
        FROM guard
        RETURNING first_index, written_at, types, data
    )
    {_TOLD}
    """,
)

#: (limit, within ms): make runnable what waits for a time that has come. After those that it
#: fired comes one row more: whether something is to be ended, as its time is up, and how soon (ms)
#: the next timer is due, if within so many milliseconds; 0 where so many were due that there may
#: be more. A timer whose firing a crash of the server takes back fires again.
FIRE_TIMERS = Statement(
    "fire_timers",
    "int, int",
    f"""
    WITH due AS MATERIALIZED (
        SELECT id, start_requested_at IS NULL
            OR coalesce(deadline_at <= clock_timestamp(), false) AS is_over
        FROM chaingraph_executions
        WHERE wake_at <= {NOW_ONCE} AND completed_at IS NULL
        ORDER BY wake_at LIMIT $1 FOR UPDATE SKIP LOCKED
    ), fired AS (
        UPDATE chaingraph_executions AS e
        SET wake_at = e.deadline_at, runnable_at = coalesce(e.runnable_at, clock_timestamp()),
            wake = e.wake + 1, waiting = NULL
        FROM due WHERE e.id = due.id AND NOT due.is_over AND e.completed_at IS NULL
        RETURNING e.id
    )
    SELECT id, NULL, NULL FROM fired
    UNION ALL
    SELECT NULL, EXISTS (SELECT FROM due WHERE is_over),
        CASE WHEN (SELECT count(*) FROM due) = $1 THEN 0 ELSE (
            SELECT ceil(1000 * extract(epoch FROM min(wake_at) - clock_timestamp()))
            FROM chaingraph_executions
            WHERE wake_at > {NOW_ONCE} AND completed_at IS NULL
                AND wake_at <= (SELECT clock_timestamp() + $2 * interval '1 ms')
        ) END::int
    WHERE {UNHURRIED}
    """,
)

#: (older than ms, limit): what a worker should have taken by now.
LEFT_LYING = Statement(
    "left_lying",
    "int, int",
    """
    SELECT id FROM chaingraph_executions
    WHERE runnable_at < clock_timestamp() - $1 * interval '1 ms'
    ORDER BY priority DESC, queued_at, id LIMIT $2
    """,
)

#: Slots of all workers that are alive, by queue: a worker's are those of each that it consumes.
SLOTS = Statement(
    "slots",
    "",
    """
    SELECT queue, sum(concurrency)::int
    FROM chaingraph_workers, json_array_elements_text(queues) AS queue
    WHERE parent_worker_id IS NULL AND status = 'running'
        AND last_heartbeat_at > clock_timestamp() - lease_ms * interval '1 ms'
    GROUP BY queue
    """,
)
