"""What the pool lends works, also just after every connection was broken."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from app.errors import StoreUnavailable
from app.store.run_statements import NOW
from tests.world import PgWorld

CONNECTIONS = 5


def break_connections(pg: PgWorld) -> None:
    """Have the server end all of the pool's connections, and wait until it has."""
    ended = pg.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert len(ended) >= CONNECTIONS


def fill_pool(pg: PgWorld) -> None:
    with ExitStack() as lent:
        for _ in range(CONNECTIONS):
            lent.enter_context(pg.database.session())


def test_sessions_work(pg: PgWorld) -> None:
    fill_pool(pg)
    break_connections(pg)
    with ExitStack() as lent:
        for _ in range(CONNECTIONS):
            assert lent.enter_context(pg.database.session()).execute(NOW)


def test_readings_work(pg: PgWorld) -> None:
    fill_pool(pg)
    break_connections(pg)
    with ExitStack() as lent:
        for _ in range(CONNECTIONS):
            reading = lent.enter_context(pg.database.reading())
            assert reading.exec_driver_sql("SELECT 1").scalar() == 1


def test_a_statement_on_a_line_that_is_closed_says_so(pg: PgWorld) -> None:
    line = pg.database.open()
    line.execute(NOW)
    line.close()

    with pytest.raises(StoreUnavailable, match="closed"):
        line.execute(NOW)
    assert line.lost
