"""How what ended long ago is deleted: an execution's row first, what belongs to it later.

Of a tree the root goes first, then its descendants, each after its parent, a bounded number at a
time. Whoever is gone is noted in chaingraph_deletions, and found no more. The events and
checkpoints of those go once whoever had read the row a moment before has read them, a bounded
number of rows at a time.
"""

from __future__ import annotations

from app.store.session import Statement

#: Roots of trees that are older than so many days in whole, of the next executions by age; where
#: to go on, nowhere once all were looked at. Whoever is alive is passed by, so that what waits for
#: months is looked at once a round. All of a tree is looked at before its root goes, so a statement
#: ends with a tree that is large, or with some that together are.
#: OFFSET 0 has each tree looked up by its root, also where nothing is known of the table yet.
#: (created at and id of the last one looked at, days, limit)
DELETE_ROOTS = Statement(
    "delete_old_roots",
    "timestamptz, text, int, int",
    """
    WITH old AS MATERIALIZED (
        SELECT clock_timestamp() - $3 * interval '1 day' AS at
    ), following AS MATERIALIZED (
        SELECT id, created_at,
            parent_execution_id IS NULL AND completed_at < (SELECT at FROM old) AS is_old_root
        FROM chaingraph_executions
        WHERE (created_at, id) > (coalesce($1, '-infinity'), $2)
            AND created_at < (SELECT at FROM old)
        ORDER BY created_at, id LIMIT $4
    ), sized AS MATERIALIZED (
        SELECT f.id, f.created_at, f.is_old_root, tree.descendants
        FROM following AS f, LATERAL (
            SELECT count(*) AS descendants FROM (
                SELECT FROM chaingraph_executions AS d
                WHERE f.is_old_root AND d.root_execution_id = f.id
                    AND d.parent_execution_id IS NOT NULL
                LIMIT $4) AS counted
        ) AS tree
    ), looked AS MATERIALIZED (
        SELECT * FROM (
            SELECT *, sum(descendants) OVER (
                ORDER BY created_at, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
            FROM sized) AS summed
        WHERE coalesce(before, 0) < $4
    ), roots AS MATERIALIZED (
        SELECT e.id, looked.descendants > 0 AS has_descendants
        FROM looked JOIN chaingraph_executions AS e ON e.id = looked.id
        WHERE looked.is_old_root
            AND NOT EXISTS (
                SELECT 1 FROM chaingraph_executions AS d
                WHERE d.root_execution_id = looked.id AND d.parent_execution_id IS NOT NULL
                    AND (d.completed_at IS NULL OR d.completed_at >= (SELECT at FROM old))
                OFFSET 0)
        FOR UPDATE OF e SKIP LOCKED
    ), gone AS (
        DELETE FROM chaingraph_executions AS e USING roots WHERE e.id = roots.id
        RETURNING e.id, roots.has_descendants
    ), noted AS (
        INSERT INTO chaingraph_deletions (execution_id, deleted_at, has_descendants)
        SELECT id, clock_timestamp(), has_descendants FROM gone
        ON CONFLICT DO NOTHING
    )
    SELECT (SELECT count(*)::int FROM gone), last.created_at, last.id
    FROM (VALUES (1)) AS always LEFT JOIN LATERAL (
        SELECT created_at, id FROM looked
        WHERE (SELECT count(*) FROM sized) = $4
            OR (SELECT count(*) FROM looked) < (SELECT count(*) FROM sized)
        ORDER BY created_at DESC, id DESC LIMIT 1
    ) AS last ON true
    """,
)

#: Descendants of roots that are deleted: of so many roots, so many. By depth, so that whoever
#: finds an execution finds all that descend from it. A root whose descendants are gone before
#: is done with: nobody gets children once it has ended. (roots, executions)
DELETE_DESCENDANTS = Statement(
    "delete_descendants",
    "int, int",
    """
    WITH roots AS MATERIALIZED (
        SELECT execution_id AS id FROM chaingraph_deletions WHERE has_descendants
        ORDER BY execution_id LIMIT $1
        FOR UPDATE SKIP LOCKED
    ), next AS MATERIALIZED (
        SELECT d.id FROM roots, LATERAL (
            SELECT id FROM chaingraph_executions
            WHERE root_execution_id = roots.id AND parent_execution_id IS NOT NULL
            ORDER BY execution_depth LIMIT $2) AS d
        LIMIT $2
    ), gone AS (
        DELETE FROM chaingraph_executions AS e USING next WHERE e.id = next.id
        RETURNING e.id
    ), noted AS (
        INSERT INTO chaingraph_deletions (execution_id, deleted_at)
        SELECT id, clock_timestamp() FROM gone
        ON CONFLICT DO NOTHING
    ), done AS (
        UPDATE chaingraph_deletions AS n SET has_descendants = false
        FROM roots WHERE n.execution_id = roots.id AND NOT EXISTS (
            SELECT FROM chaingraph_executions
            WHERE root_execution_id = roots.id AND parent_execution_id IS NOT NULL
            OFFSET 0)
    )
    SELECT count(*)::int FROM roots
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
            AND NOT has_descendants
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

#: What was noted more than so many days ago, among the lowest so many numbers; how many rows that
#: were. They are numbered in the order of time, about, so nothing old is left behind for long.
#: (days, numbers)
FORGET_AUDIT = Statement(
    "forget_audit",
    "int, int",
    """
    WITH lowest AS MATERIALIZED (
        SELECT min(id) AS id FROM chaingraph_audit
    ), gone AS (
        DELETE FROM chaingraph_audit
        WHERE id >= (SELECT id FROM lowest) AND id < (SELECT id + $2 FROM lowest)
            AND at < clock_timestamp() - $1 * interval '1 day'
        RETURNING 1
    )
    SELECT count(*)::int FROM gone
    """,
)
