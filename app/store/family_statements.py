"""The statements of parents and children.

A child is made by the statement that writes the checkpoint of the node that asked for it, and
its end is noted by the one that tells it in the parent: `child_state` goes from open to untold
with the child's own end, whoever ends it, and to told with that. Whoever makes or notes children
has locked the parent's row; a child's end never locks it.
"""

from __future__ import annotations

import json

from app.nodes.emission import LONGEST_NAME
from app.store.commanded_statements import RESOLVED, RESOLVING_TYPES, commanded
from app.store.session import Statement

_CHILD_TYPES = ", text[], text[], int[], text[], int[], text[], text[], int[], text[]"

#: (…, nodes, numbers, outputs, ids, nodes, ordinals, flows, versions, inputs, events, nodes'
#: totals, created events, how many of them count, noted children): a boundary of whatever kind
#: that makes children or notes their ends.
#: Children are claimed in the order in which they were asked for, so each is a little younger.
FAMILY = commanded(
    "write_family",
    RESOLVING_TYPES + _CHILD_TYPES + ", int, text[]",
    more=", children = children + $38",
    returned=""", owner_id, root_execution_id, execution_depth, priority,
            options::text AS options, integration::text AS integration""",
    more_rows=RESOLVED
    + """, newborn AS MATERIALIZED (
        SELECT u.*, guard.at, guard.owner_id, guard.root_execution_id, guard.execution_depth,
            guard.priority, guard.options, guard.integration,
            statement_timestamp() + (u.place - 1) * interval '1 microsecond' AS created_at
        FROM guard, unnest($29, $30, $31, $32, $33, $34, $35, $36, $37) WITH ORDINALITY
            AS u(id, node_id, ordinal, flow_id, flow_version, inputs, events, nodes_total,
                 created_event, place)
    ), born AS (
        INSERT INTO chaingraph_executions
            (id, flow_id, flow_version, owner_id, root_execution_id, parent_execution_id,
             execution_depth, parent_node_id, child_ordinal, child_state, priority, created_at,
             queued_at, updated_at, start_requested_at, runnable_at, options, inputs, integration,
             external_events, nodes_total)
        SELECT id, flow_id, flow_version, owner_id, root_execution_id, $1,
            execution_depth + 1, node_id, ordinal, 'open', priority, created_at,
            created_at, at, created_at, created_at, options::json, inputs::json, integration::json,
            events::json, nodes_total
        FROM newborn
    ), announced AS (
        INSERT INTO chaingraph_event_batches (execution_id, first_index, written_at, types, data)
        SELECT id, -1, at, ARRAY['execution:created'], ('[' || created_event || ']')::json
        FROM newborn
    ), noted AS (
        UPDATE chaingraph_executions AS c SET child_state = 'told'
        FROM guard WHERE c.id = ANY ($39) AND c.parent_execution_id = $1
            AND c.child_state = 'untold'
    )""",
)

#: What a child's event begins with, and how much of it holds its name, however that is escaped.
#: The payload after it may be as large as any value, and every look at the children would read it;
#: `->` would read it too, and fails at a NUL anywhere in it.
EVENT_START = '[{"eventName":'
EVENT_HEAD = len(EVENT_START) + 6 * LONGEST_NAME + 2

#: (parent): the children that it waits for, or whose end it has yet to note, in the order of
#: their ends, each with the beginning of its event.
CHILDREN = Statement(
    "children",
    "text",
    f"""
    SELECT id, status, parent_node_id, child_ordinal, error_message,
        left(external_events::text, {EVENT_HEAD})
    FROM chaingraph_executions
    WHERE parent_execution_id = $1 AND child_state <> 'told'
    ORDER BY completed_at, id
    """,
)

#: (parent): the nodes ('' for the start) of those children, with each of their states.
STANDING = Statement(
    "children_standing",
    "text",
    """
    SELECT DISTINCT parent_node_id, child_state FROM chaingraph_executions
    WHERE parent_execution_id = $1 AND child_state <> 'told'
    """,
)

#: (parent, node): how many children a node has made: they are numbered from 0.
MADE = Statement(
    "children_made",
    "text, text",
    """
    SELECT coalesce(max(child_ordinal) + 1, 0) FROM chaingraph_executions
    WHERE parent_execution_id = $1 AND parent_node_id = $2
    """,
)

#: Children are read together as long as what they were given and gave is no more (bytes).
READ_TOGETHER = 1 << 20

#: (parent, node, from, limit, bytes): so many children of a node from a place on, in order; fewer
#: where they are large: the last is the one that brings what they were given and what their nodes
#: gave to so many bytes. The length of a text is known without reading it.
ENDED = Statement(
    "ended_children",
    "text, text, int, int, bigint",
    """
    WITH next AS (
        SELECT child_ordinal, id, status, error_message, started_at, options::text, inputs::text,
            external_events::text, grants::text,
            coalesce(octet_length(inputs::text), 0) + given AS size
        FROM chaingraph_executions AS e, LATERAL (
            SELECT coalesce(sum(octet_length(outputs::text)), 0) AS given FROM (
                SELECT outputs FROM chaingraph_checkpoints WHERE execution_id = e.id
                UNION ALL
                SELECT outputs FROM chaingraph_resolutions WHERE execution_id = e.id) AS all_outputs
        ) AS nodes
        WHERE parent_execution_id = $1 AND parent_node_id = $2
            AND child_ordinal >= $3 AND child_ordinal < $3 + $4
    )
    SELECT child_ordinal, id, status, error_message, started_at, options, inputs, external_events,
        grants
    FROM (SELECT *, sum(size) OVER (ORDER BY child_ordinal) - size AS before FROM next) AS summed
    WHERE before < $5
    ORDER BY child_ordinal
    """,
)

#: (executions): their checkpoints and resolutions, each execution's in the order of writing.
ENDED_NODES = Statement(
    "ended_nodes",
    "text[]",
    """
    SELECT execution_id, node_id, status, attempt, outputs::text, error::text, seq
    FROM chaingraph_checkpoints WHERE execution_id = ANY ($1)
    UNION ALL
    SELECT execution_id, node_id, 'resolved', 0, outputs::text, NULL, seq
    FROM chaingraph_resolutions WHERE execution_id = ANY ($1)
    ORDER BY execution_id, seq
    """,
)

#: (limit): parents that sleep although a child of theirs has ended.
UNTOLD_PARENTS = Statement(
    "untold_parents",
    "int",
    """
    SELECT DISTINCT p.id
    FROM chaingraph_executions AS c JOIN chaingraph_executions AS p ON p.id = c.parent_execution_id
    WHERE c.child_state = 'untold' AND p.status = 'running'
        AND p.runnable_at IS NULL AND p.processing_worker_id IS NULL
    LIMIT $1
    """,
)


def event_name(head: str | None) -> str | None:
    """The name of a child's event, of whose JSON text `head` is the beginning; None for none."""
    if head is None:
        return None
    assert head.startswith(EVENT_START), head
    name, _ = json.JSONDecoder().raw_decode(head, len(EVENT_START))
    return str(name)
