"""How what ended long ago is deleted: an execution's row first, what belongs to it later.

A tree goes in one statement, which notes its executions in chaingraph_deletions; from then on
none of them is found any more. Their events and checkpoints go once whoever had read the row a
moment before has read them, a bounded number of rows at a time.
"""

from __future__ import annotations

from app.store.session import Statement

#: Trees that are older than so many days in whole, of the next executions by age; where to go on.
#: Whoever is alive is passed by, so that what waits for months is looked at once a round.
#: OFFSET 0 has each tree looked up by its root, also where nothing is known of the table yet.
#: (created at and id of the last one looked at, days, limit)
DELETE_TREES = Statement(
    "delete_old_trees",
    "timestamptz, text, int, int",
    """
    WITH old AS MATERIALIZED (
        SELECT clock_timestamp() - $3 * interval '1 day' AS at
    ), looked AS MATERIALIZED (
        SELECT id, created_at, parent_execution_id, completed_at FROM chaingraph_executions
        WHERE (created_at, id) > (coalesce($1, '-infinity'), $2)
            AND created_at < (SELECT at FROM old)
        ORDER BY created_at, id LIMIT $4
    ), roots AS MATERIALIZED (
        SELECT e.id FROM looked JOIN chaingraph_executions AS e ON e.id = looked.id
        WHERE looked.parent_execution_id IS NULL AND looked.completed_at < (SELECT at FROM old)
            AND NOT EXISTS (
                SELECT 1 FROM chaingraph_executions AS d
                WHERE d.root_execution_id = looked.id AND d.parent_execution_id IS NOT NULL
                    AND (d.completed_at IS NULL OR d.completed_at >= (SELECT at FROM old))
                OFFSET 0)
        FOR UPDATE OF e SKIP LOCKED
    ), members AS MATERIALIZED (
        SELECT id FROM roots
        UNION ALL
        SELECT d.id FROM roots, LATERAL (
            SELECT id FROM chaingraph_executions
            WHERE root_execution_id = roots.id AND parent_execution_id IS NOT NULL
            OFFSET 0) AS d
    ), gone AS (
        DELETE FROM chaingraph_executions AS e USING members WHERE e.id = members.id
        RETURNING e.id
    ), noted AS (
        INSERT INTO chaingraph_deletions (execution_id, deleted_at)
        SELECT id, clock_timestamp() FROM gone
        ON CONFLICT DO NOTHING
    )
    SELECT (SELECT count(*)::int FROM gone), (SELECT count(*)::int FROM looked),
        last.created_at, last.id
    FROM (VALUES (1)) AS always LEFT JOIN LATERAL (
        SELECT created_at, id FROM looked ORDER BY created_at DESC, id DESC LIMIT 1
    ) AS last ON true
    """,
)

#: Tables of which an execution may have any number of rows, and their keys beside it.
_LARGE = {
    "chaingraph_event_batches": "first_index",
    "chaingraph_checkpoints": "node_id",
    "chaingraph_resolutions": "seq",
    "chaingraph_signals": "id",
}
#: Tables of which it has few.
_SMALL = ("chaingraph_execution_claims", "chaingraph_execution_recovery")


def _purge() -> str:
    parts = [
        f"""{table}_some AS MATERIALIZED (
        SELECT t.execution_id, t.{key} FROM taken JOIN {table} AS t USING (execution_id) LIMIT $3
    ), {table}_gone AS (
        DELETE FROM {table} AS t USING {table}_some AS s
        WHERE t.execution_id = s.execution_id AND t.{key} = s.{key}
        RETURNING 1
    )"""
        for table, key in _LARGE.items()
    ]
    parts += [
        f"""{table}_gone AS (
        DELETE FROM {table} AS t USING taken WHERE t.execution_id = taken.execution_id
    )"""
        for table in _SMALL
    ]
    nothing_is_left = " AND ".join(f"(SELECT count(*) FROM {table}_gone) < $3" for table in _LARGE)
    return f"""
    WITH taken AS MATERIALIZED (
        SELECT execution_id FROM chaingraph_deletions
        WHERE deleted_at < (SELECT clock_timestamp() - $1 * interval '1 ms')
        ORDER BY deleted_at LIMIT $2
        FOR UPDATE SKIP LOCKED
    ), {", ".join(parts)}, done AS (
        DELETE FROM chaingraph_deletions AS d USING taken
        WHERE d.execution_id = taken.execution_id AND {nothing_is_left}
    )
    SELECT count(*)::int FROM taken
    """


#: What belonged to executions that are deleted for so long (ms): of so many, of each table so
#: many rows. Those of which there may be more are taken again. (ms, executions, rows)
PURGE = Statement("purge_deleted", "int, int, int", _purge())
