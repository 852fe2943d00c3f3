"""The statements of sent steps: nodes that run in another process than their execution's owner.

A step's claim is a row of its own. Whoever owns it runs the node and hands the result in on
that very row; the execution's owner, alone in writing for the execution, turns it into a
checkpoint and drops the row. So a step needs one guard, its own, and the numbering of events
stays with one writer.
"""

from __future__ import annotations

from app.nodes.queues import DEFAULT_QUEUE
from app.store.run_statements import deadline_of
from app.store.session import Statement

#: A step's row is deleted with its result, and the next attempt's is a new one: its epochs begin
#: beyond those of any earlier attempt, so that what a zombie of that one hands in stays void.
EPOCHS_PER_ATTEMPT = 1 << 16

#: (execution, epoch, nodes, attempts, queues): note the steps that are about to be sent.
POST_STEPS = Statement(
    "post_steps",
    "text, int, text[], int[], text[]",
    f"""
    WITH guard AS (
        SELECT id FROM chaingraph_executions
        WHERE id = $1 AND epoch = $2 AND completed_at IS NULL
        FOR UPDATE
    ), posted AS (
        INSERT INTO chaingraph_execution_claims AS c
            (execution_id, node_id, worker_id, claimed_at, status, epoch, heartbeat_at, attempt,
             queue)
        SELECT guard.id, u.node_id, '', clock_timestamp(), 'released',
            u.attempt * {EPOCHS_PER_ATTEMPT}, clock_timestamp(), u.attempt, u.queue
        FROM guard, unnest($3, $4, $5) AS u(node_id, attempt, queue)
        ON CONFLICT (execution_id, node_id) DO UPDATE
        SET worker_id = '', status = 'released', expires_at = NULL,
            epoch = greatest(c.epoch + 1, excluded.epoch),
            claimed_at = excluded.claimed_at, attempt = excluded.attempt, result = NULL,
            queue = excluded.queue
    )
    SELECT id FROM guard
    """,
)

#: (execution): its sent steps.
SENT_STEPS = Statement(
    "sent_steps",
    "text",
    """
    SELECT node_id, attempt, status, result::text FROM chaingraph_execution_claims
    WHERE execution_id = $1 AND node_id <> ''
    """,
)

#: (execution, epoch, nodes): forget steps whose results are checkpoints now.
DROP_STEPS = Statement(
    "drop_steps",
    "text, int, text[]",
    """
    DELETE FROM chaingraph_execution_claims
    WHERE execution_id = $1 AND node_id = ANY ($3) AND node_id <> '' AND status <> 'active'
        AND EXISTS (SELECT 1 FROM chaingraph_executions WHERE id = $1 AND epoch = $2)
    """,
)

#: (execution, node, worker, lease ms): own a sent step.
CLAIM_STEP = Statement(
    "claim_step",
    "text, text, text, int",
    """
    WITH step AS (
        UPDATE chaingraph_execution_claims
        SET worker_id = $3, status = 'active', epoch = epoch + 1,
            claimed_at = clock_timestamp(), heartbeat_at = clock_timestamp(),
            expires_at = clock_timestamp() + $4 * interval '1 ms'
        WHERE execution_id = $1 AND node_id = $2 AND node_id <> ''
            AND status = 'released' AND result IS NULL
        RETURNING execution_id, epoch, node_id, attempt
    )
    SELECT step.epoch, step.attempt, e.flow_id, e.flow_version, e.owner_id, e.root_execution_id,
        e.parent_execution_id, e.options::text, e.inputs::text, e.integration::text,
        e.external_events::text
    FROM step JOIN chaingraph_executions AS e ON e.id = step.execution_id
    WHERE e.completed_at IS NULL
    """,
)

#: (execution, node, epoch, result): hand the result in. Void unless the step's epoch holds.
HAND_IN = Statement(
    "hand_in_step",
    "text, text, int, text",
    """
    UPDATE chaingraph_execution_claims
    SET status = 'released', expires_at = NULL, result = $4::json
    WHERE execution_id = $1 AND node_id = $2 AND epoch = $3 AND status = 'active'
    RETURNING epoch
    """,
)

#: (execution, node, attempt, worker, result): hand a result in for a node whose owner ran it in place and
#: doesn't yield: taken from it, for another to find as that of a sent step. No crash is counted.
HAND_IN_FOR = Statement(
    "hand_in_for",
    "text, text, int, text, text",
    f"""
    WITH guard AS (
        UPDATE chaingraph_executions
        SET epoch = epoch + 1, runnable_at = clock_timestamp(),
            deadline_at = {deadline_of()}, wake_at = {deadline_of()},
            processing_worker_id = NULL, processing_started_at = NULL
        WHERE id = $1 AND status = 'running' AND processing_worker_id = $4
            AND (grants ->> $2)::int = $3
        RETURNING id
    ), released AS (
        UPDATE chaingraph_execution_claims SET status = 'released', expires_at = NULL
        FROM guard WHERE execution_id = guard.id AND node_id = ''
    )
    INSERT INTO chaingraph_execution_claims AS c
        (execution_id, node_id, worker_id, claimed_at, status, epoch, heartbeat_at, attempt, queue,
         result)
    SELECT guard.id, $2, '', clock_timestamp(), 'released', $3 * {EPOCHS_PER_ATTEMPT},
        clock_timestamp(), $3, '{DEFAULT_QUEUE}', $5::json
    FROM guard
    ON CONFLICT (execution_id, node_id) DO UPDATE
    SET status = 'released', expires_at = NULL, attempt = excluded.attempt,
        epoch = greatest(c.epoch + 1, excluded.epoch), result = excluded.result
    RETURNING execution_id
    """,
)

#: (execution, node, epoch): whether a step is still its owner's.
HOLDS_STEP = Statement(
    "holds_step",
    "text, text, int",
    """
    SELECT 1 FROM chaingraph_execution_claims AS c
    JOIN chaingraph_executions AS e ON e.id = c.execution_id
    WHERE c.execution_id = $1 AND c.node_id = $2 AND c.epoch = $3 AND c.status = 'active'
        AND e.completed_at IS NULL
    """,
)

#: (execution): something arrived: whoever parks now looks again; who parked is runnable, and
#: who is paused finds it when it is resumed. Gives the owner.
WAKE = Statement(
    "wake_execution",
    "text",
    """
    UPDATE chaingraph_executions
    SET wake = wake + 1,
        runnable_at = CASE WHEN processing_worker_id IS NULL AND status <> 'paused'
            THEN coalesce(runnable_at, clock_timestamp()) ELSE runnable_at END
    WHERE id = $1 AND completed_at IS NULL AND started_at IS NOT NULL
    RETURNING processing_worker_id
    """,
)

#: (execution, node, epoch): give a step up that did not begin; it is sent again.
RELEASE_STEP = Statement(
    "release_step",
    "text, text, int",
    """
    UPDATE chaingraph_execution_claims
    SET status = 'released', expires_at = NULL, worker_id = ''
    WHERE execution_id = $1 AND node_id = $2 AND epoch = $3 AND status = 'active'
    """,
)

#: (execution, node, epoch, reason, by worker, previous worker): a step's owner is lost. The
#: execution's owner sends it anew, as the next attempt.
RECOVER_STEP = Statement(
    "recover_step",
    "text, text, int, text, text, text",
    """
    WITH lost AS (
        UPDATE chaingraph_execution_claims
        SET status = 'expired', result = json_build_object(
            'reason', $4, 'previousWorkerId', $6, 'workerId', $5)
        WHERE execution_id = $1 AND node_id = $2 AND epoch = $3 AND status = 'active'
        RETURNING execution_id
    ), counted AS (
        UPDATE chaingraph_executions AS e
        SET failure_count = failure_count + 1, crashes = crashes + 1,
            last_failure_reason = $4, last_failure_at = clock_timestamp()
        FROM lost WHERE e.id = lost.execution_id AND e.completed_at IS NULL
        RETURNING e.id, e.status
    )
    INSERT INTO chaingraph_execution_recovery
        (execution_id, recovered_by_worker, recovery_reason, previous_status, previous_worker_id)
    SELECT id, $5, $4, status, $6 FROM counted
    RETURNING execution_id
    """,
)

#: (execution, node, epoch): lock the claim of a step whose owner is lost, before its execution's
#: row, as RECOVER_STEP does. Void where that loss was noted before.
LOCK_LOST_STEP = Statement(
    "lock_lost_step",
    "text, text, int",
    """
    SELECT 1 FROM chaingraph_execution_claims
    WHERE execution_id = $1 AND node_id = $2 AND epoch = $3 AND status = 'active'
    FOR UPDATE
    """,
)

#: (execution): what a step's loss is measured against.
CRASHES = Statement(
    "crashes",
    "text",
    """
    SELECT epoch, crashes FROM chaingraph_executions WHERE id = $1 AND completed_at IS NULL
    """,
)

#: (older than ms): the queues in which steps lie.
LYING_QUEUES = Statement(
    "lying_queues",
    "int",
    """
    SELECT DISTINCT queue FROM chaingraph_execution_claims
    WHERE node_id <> '' AND status = 'released' AND result IS NULL
        AND claimed_at < clock_timestamp() - $1 * interval '1 ms'
    """,
)

#: (older than ms, queue, limit): steps whose message seems lost; they count as sent now.
RESEND_STEPS = Statement(
    "resend_steps",
    "int, text, int",
    """
    WITH lying AS MATERIALIZED (
        SELECT c.execution_id, c.node_id
        FROM chaingraph_execution_claims AS c
        JOIN chaingraph_executions AS e ON e.id = c.execution_id
        WHERE c.node_id <> '' AND c.status = 'released' AND c.result IS NULL
            AND c.queue = $2 AND c.claimed_at < clock_timestamp() - $1 * interval '1 ms'
            AND e.completed_at IS NULL
        ORDER BY c.claimed_at LIMIT $3
        FOR UPDATE OF c SKIP LOCKED
    )
    UPDATE chaingraph_execution_claims AS c SET claimed_at = clock_timestamp()
    FROM lying WHERE c.execution_id = lying.execution_id AND c.node_id = lying.node_id
    RETURNING c.execution_id, c.node_id
    """,
)

#: (limit): executions that were not told of a step's end, or of its loss. A row without a grant is
#: left over: its result is a checkpoint, and whoever is woken for it would find nothing to do.
UNTOLD = Statement(
    "untold_executions",
    "int",
    """
    SELECT DISTINCT c.execution_id
    FROM chaingraph_execution_claims AS c JOIN chaingraph_executions AS e ON e.id = c.execution_id
    WHERE c.node_id <> '' AND (c.result IS NOT NULL OR c.status = 'expired')
        AND e.status = 'running' AND e.runnable_at IS NULL AND e.processing_worker_id IS NULL
        AND e.grants ->> c.node_id IS NOT NULL
    LIMIT $1
    """,
)
