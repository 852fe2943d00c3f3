"""The statements of a run: claim, fenced write, park, release, renew.

Locks are taken in one order, the execution's row before its claim's, so that no two of these
can deadlock.
"""

from __future__ import annotations

from app.store.session import Statement
from app.store.slot_statements import TAKE_SLOT, free_slot


def waiting_from_now(what: str, detail: str) -> str:
    """SQL that gives why nothing moves from now on; a session's time is UTC."""
    return f"""json_build_object('for', {what},
                'since', to_char(statement_timestamp(), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
                'until', NULL, 'detail', {detail})"""


#: SQL for `flowTimeoutMs` of a row `e`, NULL for none.
TIMEOUT = "nullif(({e}options #>> '{{execution,flowTimeoutMs}}')::bigint, 0) * interval '1 ms'"


def deadline_of(e: str = "") -> str:
    """SQL for the deadline of a row `e` that has begun; NULL for none.

    It follows from the start until somebody gives the execution up: what only runs on and ends
    never stores it.
    """
    return f"""coalesce({e}deadline_at, CASE WHEN {e}started_at IS NOT NULL
                THEN {e}started_at + {TIMEOUT.format(e=e)} END)"""


_CLAIMED = f"""
    e.id, e.epoch, e.writes, e.wake, e.flow_id, e.flow_version, e.owner_id,
    e.root_execution_id, e.parent_execution_id, e.started_at IS NOT NULL,
    e.options::text, e.inputs::text, e.integration::text, e.grants::text,
    coalesce(1000 * extract(epoch FROM clock_timestamp() - e.started_at), 0)::bigint,
    (1000 * extract(epoch FROM {deadline_of("e.")} - clock_timestamp()))::bigint,
    e.requested, e.requested_reason, e.breakpoints_hit,
    e.external_events::text, e.execution_depth, e.children, e.forked_from IS NOT NULL
"""


#: The highest number that the count of writes begins with under a claim.
MOST_FIRST_WRITES = (1 << 30) - 1
#: Where it begins follows from the claim's token: a standby that lacks the last commits may give
#: an epoch away a second time, and whoever has it from before counts otherwise.
_FIRST_WRITES = f"hashtext($2) & {MOST_FIRST_WRITES}"


def _claim(name: str, types: str, which: str, *, limit: str | None = None) -> Statement:
    is_limited = limit is not None
    return Statement(
        name,
        types,
        f"""
    WITH picked AS MATERIALIZED (
        SELECT id FROM chaingraph_executions
        WHERE runnable_at IS NOT NULL {which}
        ORDER BY priority DESC, queued_at, id
        LIMIT 1
        FOR UPDATE SKIP LOCKED
    ){free_slot(limit) if limit is not None else ""}, e AS (
        UPDATE chaingraph_executions AS x
        SET epoch = x.epoch + 1, writes = {_FIRST_WRITES}, claim_token = $2,
            runnable_at = NULL, wake_at = NULL, waiting = NULL,
            processing_worker_id = $1, processing_started_at = clock_timestamp()
        FROM picked{", slot" if is_limited else ""} WHERE x.id = picked.id
        RETURNING x.*
    ), first_lease AS (
        INSERT INTO chaingraph_execution_claims
            (execution_id, node_id, worker_id, claimed_at, status, epoch, expires_at, heartbeat_at)
        SELECT e.id, '', $1, clock_timestamp(), 'active', e.epoch,
            clock_timestamp() + $3 * interval '1 ms', clock_timestamp()
        FROM e WHERE e.epoch = 1
    ), lease AS (
        INSERT INTO chaingraph_execution_claims AS c
            (execution_id, node_id, worker_id, claimed_at, status, epoch, expires_at, heartbeat_at)
        SELECT e.id, '', $1, clock_timestamp(), 'active', e.epoch,
            clock_timestamp() + $3 * interval '1 ms', clock_timestamp()
        FROM e WHERE e.epoch > 1
        ON CONFLICT (execution_id, node_id) DO UPDATE
        SET worker_id = excluded.worker_id, claimed_at = excluded.claimed_at,
            status = excluded.status, epoch = excluded.epoch,
            expires_at = excluded.expires_at, heartbeat_at = excluded.heartbeat_at
    ){TAKE_SLOT if is_limited else ""}
    SELECT {_CLAIMED} FROM e
    """,
    )


#: (worker, token, lease ms): own the first of the backlog.
CLAIM_NEXT = _claim("claim_next", "text, text, int", "")
#: (worker, token, lease ms, execution): own this one, if it is runnable.
CLAIM_ONE = _claim("claim_one", "text, text, int, text", "AND id = $4")
#: (worker, token, lease ms, limit): the same, if one of so many slots is free.
CLAIM_NEXT_LIMITED = _claim("claim_next_limited", "text, text, int, int", "", limit="$4")
#: (worker, token, lease ms, execution, limit)
CLAIM_ONE_LIMITED = _claim(
    "claim_one_limited", "text, text, int, text, int", "AND id = $4", limit="$5"
)

#: (token, worker): what the claim with this token owns.
FIND_CLAIM = Statement(
    "find_claim",
    "text, text",
    f"""
    SELECT {_CLAIMED}
    FROM chaingraph_execution_claims AS c JOIN chaingraph_executions AS e ON e.id = c.execution_id
    WHERE c.worker_id = $2 AND c.status = 'active' AND e.claim_token = $1 AND e.epoch = c.epoch
    """,
)


def ms_until(time: str) -> str:
    """SQL for how long it is until a time, in milliseconds: 0 once it has come, NULL for none."""
    left = f"1000 * extract(epoch FROM {time} - statement_timestamp())"
    return f"CASE WHEN {time} IS NOT NULL THEN greatest(0, {left})::bigint END"


#: A boundary. One time for all that a statement writes: the end of a run is its last event's, and so on.
BOUNDARY = """
    WITH guard AS (
        UPDATE chaingraph_executions
        SET writes = writes + 1,
            last_event_index = last_event_index + cardinality($4),
            updated_at = date_trunc('milliseconds', statement_timestamp()),
            status = {status},
            started_at = coalesce(started_at, date_trunc('milliseconds', statement_timestamp())),
            grants = $6::json,
            nodes_completed = $7, nodes_failed = $8, nodes_skipped = $9,
            crashes = CASE WHEN cardinality($10) > 0 THEN 0 ELSE crashes END
            {more}
        WHERE id = $1 AND epoch = $2 AND writes = $3 AND completed_at IS NULL
            AND {request}
        RETURNING last_event_index - cardinality($4) + 1 AS first, updated_at AS at,
            {worker} AS worker, watched{returned}
    ), saved AS (
        INSERT INTO chaingraph_checkpoints AS c
            (execution_id, node_id, seq, status, attempt, started_at, completed_at,
             execution_time_ms, worker_id, outputs, chosen, error, retry_at)
        SELECT $1, u.node_id, u.seq, u.status, u.attempt,
            coalesce(u.started_at, guard.at - u.ms * interval '1 ms'), guard.at, u.ms,
            guard.worker, u.outputs::json, u.chosen::json, u.error::json, u.retry_at
        FROM guard,
            unnest($10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
                AS u(node_id, seq, status, attempt, ms, outputs, chosen, error,
                     started_at, retry_at)
        {conflict}
    ), told AS (
        INSERT INTO chaingraph_event_batches (execution_id, first_index, written_at, types, data)
        SELECT $1, guard.first, guard.at, $4, $5::json FROM guard WHERE cardinality($4) > 0
    ){release}
    SELECT first, at, watched FROM guard
"""

#: The types of its first 19 parameters.
BOUNDARY_TYPES = (
    "text, int, int, text[], text, text, int, int, int, "
    "text[], int[], text[], int[], int[], text[], text[], text[], timestamptz[], timestamptz[]"
)

#: A node that was tried before may have a checkpoint, of the attempt that failed.
REPLACING = """
        ON CONFLICT (execution_id, node_id) DO UPDATE
        SET seq = excluded.seq, status = excluded.status, attempt = excluded.attempt,
            started_at = excluded.started_at, completed_at = excluded.completed_at,
            execution_time_ms = excluded.execution_time_ms, worker_id = excluded.worker_id,
            outputs = excluded.outputs, chosen = excluded.chosen, error = excluded.error,
            retry_at = excluded.retry_at
"""


#: Nothing is granted, and nothing ends, past a command that the run doesn't know of.
_NO_REQUEST = {
    "request": "requested IS NULL",
    "worker": "processing_worker_id",
    "returned": "",
}

#: A child that ends has yet to be noted by its parent; without a parent there is nothing to note.
CHILD_ENDED = "child_state = CASE WHEN child_state = 'open' THEN 'untold' ELSE child_state END"


def _write(name: str, conflict: str) -> Statement:
    text = BOUNDARY.format(
        status="'running'",
        more="",
        release="",
        conflict=conflict,
        **_NO_REQUEST,
    )
    return Statement(name, BOUNDARY_TYPES, text)


def _finish(name: str, conflict: str) -> Statement:
    text = BOUNDARY.format(
        **_NO_REQUEST,
        conflict=conflict,
        status="$20",
        more=f""", completed_at = date_trunc('milliseconds', statement_timestamp()),
            error_message = $21, error_node_id = $22, {CHILD_ENDED}""",
        release=""", released AS (
        UPDATE chaingraph_execution_claims
        SET status = 'released', expires_at = NULL
        FROM guard WHERE execution_id = $1 AND node_id = ''
            AND chaingraph_execution_claims.epoch = $2
    )""",
    )
    return Statement(name, BOUNDARY_TYPES + ", text, text, text", text)


#: A node boundary. Void (no row) unless epoch and count hold, the status isn't final and
#: nothing is requested.
WRITE = _write("write_boundary", "")
#: The same, where a checkpoint may be there.
REWRITE = _write("rewrite_boundary", REPLACING)
#: The last boundary: with the end and the release of the claim.
FINISH = _finish("write_end", "")
#: The same, where a checkpoint may be there.
REFINISH = _finish("rewrite_end", REPLACING)

#: (execution, epoch): what is requested of the owner, and how many writes there were.
REQUESTED = Statement(
    "requested",
    "text, int",
    """
    SELECT requested, requested_reason, writes FROM chaingraph_executions
    WHERE id = $1 AND epoch = $2 AND completed_at IS NULL
    """,
)

#: (execution): what became of a write whose reply was lost.
INSPECT = Statement(
    "inspect",
    "text",
    """
    SELECT epoch, writes, wake, completed_at IS NOT NULL, last_event_index, updated_at, status
    FROM chaingraph_executions WHERE id = $1
    """,
)

#: (execution, time, types, data): where a write's events stand in the log. Others may have been
#: appended since; what is equal in all of these is the same to a reader.
FIND_BATCH = Statement(
    "find_batch",
    "text, timestamptz, text[], text",
    """
    SELECT first_index FROM chaingraph_event_batches
    WHERE execution_id = $1 AND written_at = $2 AND types = $3 AND data::text = $4
    ORDER BY first_index DESC LIMIT 1
    """,
)

_RELEASE_CLAIM = """
    released AS (
        UPDATE chaingraph_execution_claims
        SET status = 'released', expires_at = NULL
        FROM guard WHERE execution_id = guard.id AND node_id = ''
    )
"""

#: (execution, epoch, writes, wake, waiting, wake_at): give up until something arrives, that time
#: comes or the deadline does.
PARK = Statement(
    "park",
    "text, int, int, int, text, timestamptz",
    f"""
    WITH guard AS (
        UPDATE chaingraph_executions
        SET writes = writes + 1, waiting = $5::json, deadline_at = {deadline_of()},
            wake_at = least($6, {deadline_of()}),
            processing_worker_id = NULL, processing_started_at = NULL,
            updated_at = date_trunc('milliseconds', clock_timestamp())
        WHERE id = $1 AND epoch = $2 AND writes = $3 AND wake = $4 AND completed_at IS NULL
        RETURNING id
    ), {_RELEASE_CLAIM}
    SELECT id FROM guard
    """,
)


def _release(name: str, more: str = "") -> Statement:
    return Statement(
        name,
        "text, int",
        f"""
    WITH guard AS (
        UPDATE chaingraph_executions
        SET epoch = epoch + 1, runnable_at = clock_timestamp(){more},
            deadline_at = {deadline_of()}, wake_at = {deadline_of()},
            processing_worker_id = NULL, processing_started_at = NULL
        WHERE id = $1 AND epoch = $2 AND status IN ('created', 'running')
            AND claim_token IS NOT NULL
        RETURNING id
    ), {_RELEASE_CLAIM}
    SELECT id FROM guard
    """,
    )


#: (execution, epoch): give up at once; the next worker goes on from the last checkpoint.
RELEASE = _release("release")
#: The same, behind all others of its priority that wait by now.
GIVE_WAY = _release("give_way", ", queued_at = clock_timestamp()")

#: (execution, ms): whether others of its priority, or a higher one, wait for so long to be run.
OTHERS_WAIT = Statement(
    "others_wait",
    "text, int",
    """
    SELECT 1 FROM chaingraph_executions AS mine
    WHERE mine.id = $1 AND EXISTS (
        SELECT FROM chaingraph_executions AS other
        WHERE other.priority >= mine.priority
            AND other.runnable_at < clock_timestamp() - $2 * interval '1 ms')
    """,
)

#: (execution, epoch): whether the fence holds.
HOLDS = Statement(
    "holds",
    "text, int",
    """
    SELECT 1 FROM chaingraph_executions
    WHERE id = $1 AND epoch = $2 AND completed_at IS NULL
    """,
)

#: (execution): its checkpoints and resolutions in the order of writing.
CHECKPOINTS = Statement(
    "checkpoints",
    "text",
    """
    SELECT node_id, seq, status, attempt, outputs::text, error::text, retry_at,
        CASE WHEN retry_at IS NOT NULL
            THEN (1000 * extract(epoch FROM retry_at - clock_timestamp()))::bigint END
    FROM chaingraph_checkpoints WHERE execution_id = $1
    UNION ALL
    SELECT node_id, seq, 'resolved', 0, outputs::text, NULL, NULL, NULL
    FROM chaingraph_resolutions WHERE execution_id = $1
    ORDER BY seq
    """,
)

#: (flow, version): its document.
DOCUMENT = Statement(
    "document",
    "text, int",
    "SELECT document::text FROM chaingraph_flow_versions WHERE flow_id = $1 AND version = $2",
)

NOW = Statement("server_now", "", "SELECT date_trunc('milliseconds', clock_timestamp())")

#: (worker, executions, nodes, epochs, lease ms): one statement per heartbeat, whatever runs.
#: A row without an execution says that the worker is registered.
RENEW = Statement(
    "renew",
    "text, text[], text[], int[], int",
    """
    WITH mine AS (
        SELECT u.id, u.node, u.epoch FROM unnest($2, $3, $4) AS u(id, node, epoch)
    ), beat AS (
        UPDATE chaingraph_workers SET last_heartbeat_at = clock_timestamp() WHERE worker_id = $1
        RETURNING worker_id
    ), renewed AS (
        UPDATE chaingraph_execution_claims AS c
        SET heartbeat_at = clock_timestamp(),
            expires_at = clock_timestamp() + $5 * interval '1 ms'
        FROM mine
        WHERE c.execution_id = mine.id AND c.node_id = mine.node AND c.worker_id = $1
            AND c.epoch = mine.epoch AND c.status = 'active'
        RETURNING c.execution_id, c.node_id, c.epoch
    )
    SELECT r.execution_id, r.epoch, r.node_id, e.requested, e.wake
    FROM renewed AS r JOIN chaingraph_executions AS e ON e.id = r.execution_id
    WHERE e.completed_at IS NULL
    UNION ALL
    SELECT NULL, NULL, NULL, NULL, NULL FROM beat
    """,
)

#: (worker, executions, nodes): the claims of a process that nothing in it runs.
STRAYS = Statement(
    "strays",
    "text, text[], text[]",
    """
    SELECT execution_id, epoch, node_id FROM chaingraph_execution_claims
    WHERE worker_id = $1 AND status = 'active'
        AND (execution_id, node_id) NOT IN (
            SELECT u.id, u.node FROM unnest($2, $3) AS u(id, node))
        AND claimed_at < clock_timestamp() - interval '1 second'
    """,
)
