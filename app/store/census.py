"""How much there is of everything, for whoever watches: a statement whose cost is bounded.

It reads partial indexes, as far as MOST rows each, and of the executions a sample of pages: all
of them while the table is small, so that the numbers are exact then.
"""

from __future__ import annotations

from typing import NamedTuple

from app.store.own_session import OwnSession
from app.store.session import Statement

#: Rows that are counted of a kind; more are shown as so many.
MOST = 50_000
#: Pages of the table of executions that are read.
PAGES = 2000

_TABLE = "'chaingraph_executions'"
_ALL_PAGES = f"greatest(1, pg_relation_size({_TABLE}) / current_setting('block_size')::int)"

#: Gives (what, of which kind, how many or how long in s).
CENSUS = Statement(
    "census",
    "",
    f"""
    WITH runnable AS MATERIALIZED (
        SELECT runnable_at FROM chaingraph_executions WHERE runnable_at IS NOT NULL LIMIT {MOST}
    ), timers AS MATERIALIZED (
        SELECT wake_at FROM chaingraph_executions WHERE wake_at IS NOT NULL
        ORDER BY wake_at LIMIT {MOST}
    ), claims AS MATERIALIZED (
        SELECT node_id FROM chaingraph_execution_claims WHERE status = 'active' LIMIT {MOST}
    ), steps AS MATERIALIZED (
        SELECT queue, status, result FROM chaingraph_execution_claims
        WHERE node_id <> '' LIMIT {MOST}
    ), counted AS MATERIALIZED (
        SELECT status, count(*) AS rows FROM chaingraph_executions
        TABLESAMPLE SYSTEM (least(100, 100.0 * {PAGES} / {_ALL_PAGES}))
        GROUP BY status
    )
    SELECT 'executions' AS what, status AS kind,
        (rows * greatest(1, {_ALL_PAGES} / {PAGES}::float8))::float8 AS value
    FROM counted
    UNION ALL SELECT 'runnable', '', count(*) FROM runnable
    UNION ALL SELECT 'runnable_oldest', '',
        coalesce(greatest(0, extract(epoch FROM clock_timestamp() - min(runnable_at))), 0)::float8
    FROM runnable
    UNION ALL SELECT 'timers', '', count(*) FROM timers
    UNION ALL SELECT 'timers_overdue', '',
        coalesce(greatest(0, extract(epoch FROM clock_timestamp() - min(wake_at))), 0)::float8
    FROM timers
    UNION ALL SELECT 'claims', 'execution', count(*) FROM claims WHERE node_id = ''
    UNION ALL SELECT 'claims', 'step', count(*) FROM claims WHERE node_id <> ''
    UNION ALL SELECT 'steps_waiting', queue, count(*) FROM steps
    WHERE status <> 'active' AND result IS NULL GROUP BY queue
    UNION ALL SELECT 'workers', '', count(*) FROM chaingraph_workers WHERE parent_worker_id IS NULL
    UNION ALL SELECT 'slots', '', coalesce(sum(concurrency), 0)::float8 FROM chaingraph_workers
    WHERE parent_worker_id IS NULL
    UNION ALL SELECT 'sweep_age', '', extract(epoch FROM clock_timestamp() - swept_at)::float8
    FROM chaingraph_beat
    """,
)


class Figure(NamedTuple):
    """One number: what is counted, of which kind ('' where there is one), how many."""

    what: str
    kind: str
    value: float


class Census(OwnSession):
    """Asks on a connection of its own, on which nothing scans a table."""

    def figures(self) -> list[Figure]:
        """Count. Raises StoreUnavailable."""
        return [Figure(*row) for row in self._run(CENSUS)]
