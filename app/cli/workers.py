"""How many workers are alive, as the database sees it."""

from __future__ import annotations

#: A worker renews its row; one that hasn't for a whole lease is taken for dead.
LIVE_WORKERS = """
    SELECT count(*)
      FROM chaingraph_workers
     WHERE parent_worker_id IS NULL
       AND last_heartbeat_at > clock_timestamp() - make_interval(secs => lease_ms / 1000.0)
"""

CONNECT_TIMEOUT_S = 3


def count_live_workers(database_url: str) -> int:
    """Count the workers alive; raises `psycopg2.Error` when the database can't say."""
    import psycopg2

    connection = psycopg2.connect(database_url, connect_timeout=CONNECT_TIMEOUT_S)
    try:
        with connection.cursor() as cursor:
            cursor.execute(LIVE_WORKERS)
            count: int = cursor.fetchall()[0][0]
            return count
    finally:
        connection.close()
