"""Waiting for who waits for a row."""

from __future__ import annotations

from concurrent.futures import Future

import psycopg2

from tests.waiting import wait_until
from tests.world import PgWorld


def await_lock(pg: PgWorld, future: Future[object]) -> None:
    """Until somebody waits for a row."""
    session = psycopg2.connect(pg.database.url)
    session.autocommit = True
    with session.cursor() as cursor:

        def waits() -> bool:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            [(count,)] = cursor.fetchall()
            return bool(count)

        wait_until(waits, "it waits for the row")
    session.close()
    assert not future.done()
