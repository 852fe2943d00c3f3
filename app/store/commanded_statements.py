"""Boundaries beside the plain ones of a run: with a command, a pause, or outputs given early."""

from __future__ import annotations

from app.store.run_statements import (
    BOUNDARY,
    BOUNDARY_TYPES,
    REPLACING,
    TIMEOUT,
    deadline_of,
    ms_until,
    waiting_from_now,
)
from app.store.session import Statement

#: What a pause keeps of the flow's time: all of it where nothing has begun.
_LEFT = f"""CASE WHEN started_at IS NULL
                THEN (1000 * extract(epoch FROM {TIMEOUT.format(e="")}))::bigint
                ELSE {ms_until(deadline_of())} END"""

_DETAIL = "CASE WHEN $25 IS NULL THEN '{}'::json ELSE json_build_object('nodeId', $25) END"

COMMANDED_TYPES = BOUNDARY_TYPES + ", text, text, text, text, text, text"


def commanded(
    name: str, types: str, more_rows: str = "", *, more: str = "", returned: str = ""
) -> Statement:
    """A boundary of whatever kind: `more` is set in the execution's row, `more_rows` written.

    What is `returned` of its row is in `guard` for those.
    """
    text = BOUNDARY.format(
        conflict=REPLACING,
        status="$21",
        request="requested IS NOT DISTINCT FROM $20",
        # The guard has cleared the owner where it pauses.
        worker="""(SELECT worker_id FROM chaingraph_execution_claims
                WHERE execution_id = $1 AND node_id = '')""",
        returned=returned,
        more=f""", epoch = CASE WHEN $21 = 'paused' THEN epoch + 1 ELSE epoch END,
            deadline_at = CASE WHEN $21 <> 'paused' THEN deadline_at END,
            deadline_left_ms = CASE WHEN $21 = 'paused' THEN {_LEFT} END,
            completed_at = CASE WHEN $21 IN ('completed', 'failed')
                THEN date_trunc('milliseconds', statement_timestamp()) END,
            child_state = CASE WHEN $21 IN ('completed', 'failed') AND child_state = 'open'
                THEN 'untold' ELSE child_state END,
            error_message = $22, error_node_id = $23,
            requested = CASE WHEN $21 = 'running' THEN requested END,
            requested_reason = CASE WHEN $21 = 'running' THEN requested_reason END,
            waiting = CASE WHEN $21 = 'paused' THEN {waiting_from_now("$24", _DETAIL)} END,
            breakpoints_hit = CASE WHEN $25 IS NULL THEN breakpoints_hit
                ELSE array_append(breakpoints_hit, $25) END,
            processing_worker_id = CASE WHEN $21 <> 'paused' THEN processing_worker_id END,
            processing_started_at = CASE WHEN $21 <> 'paused' THEN processing_started_at END
            {more}""",
        release=""", released AS (
        UPDATE chaingraph_execution_claims
        SET status = 'released', expires_at = NULL
        FROM guard WHERE execution_id = $1 AND node_id = ''
            AND chaingraph_execution_claims.epoch = $2 AND $21 <> 'running'
    ), forgotten AS (
        DELETE FROM chaingraph_execution_claims
        USING guard WHERE execution_id = $1 AND node_id <> '' AND $21 <> 'running'
    )"""
        + more_rows,
    )
    return Statement(name, types, text)


#: (…, known command, status, error message, error node, waiting for, breakpoint): a boundary of
#: a run that knows of a command, or that pauses. A command is used up by the pause or the end, and
#: what is left of sent steps is forgotten with it: none is under way then.
COMMANDED = commanded("write_commanded", COMMANDED_TYPES)

RESOLVING_TYPES = COMMANDED_TYPES + ", text[], int[], text[]"

#: (…, nodes, numbers, outputs): what running nodes have resolved.
RESOLVED = """, resolved AS (
        INSERT INTO chaingraph_resolutions (execution_id, seq, node_id, outputs)
        SELECT $1, u.seq, u.node_id, u.outputs::json
        FROM guard, unnest($26, $27, $28) AS u(node_id, seq, outputs)
    )"""

#: (…, breakpoint, nodes, numbers, outputs): a boundary of whatever kind at which running nodes
#: have resolved outputs.
RESOLVING = commanded(
    "write_resolving",
    RESOLVING_TYPES,
    RESOLVED,
)
