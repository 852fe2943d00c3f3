"""Transactions of several statements on PostgreSQL."""

from __future__ import annotations

import threading

import pytest

from app.errors import StoreUnavailable
from app.store.session import LockedOut, Statement
from tests.world import PgWorld

WAKE = Statement(
    "wake_in_test",
    "text",
    "UPDATE chaingraph_executions SET wake = wake + 1 WHERE id = $1 RETURNING wake",
)


def test_a_transaction_that_a_lock_kept_out_is_done_anew_as_a_whole(pg: PgWorld) -> None:
    execution, tries = pg.create(), []

    with pg.database.session() as session:

        def work() -> int:
            session.execute(WAKE, execution)
            tries.append(pg.row(execution).wake)
            if len(tries) < 3:
                raise LockedOut
            return len(tries)

        assert session.transact(work) == 3

    # What was not committed is not seen from beside.
    assert tries == [0, 0, 0]
    assert pg.row(execution).wake == 1


def test_a_transaction_that_stays_locked_out_is_given_up(pg: PgWorld) -> None:
    def work() -> None:
        raise LockedOut

    with pg.database.session() as session, pytest.raises(StoreUnavailable):
        session.transact(work)


def test_a_stop_waits_for_the_owner_s_statement(pg: PgWorld) -> None:
    execution = pg.create()
    owner = pg.connect()
    owner.autocommit = False
    with owner.cursor() as cursor:
        cursor.execute("SELECT 1 FROM chaingraph_executions WHERE id = %s FOR UPDATE", (execution,))
    stopped: list[bool] = []
    stopping = threading.Thread(
        target=lambda: stopped.append(bool(pg.commands().stop(execution, "why")))
    )
    stopping.start()
    assert pg.row(execution).status == "created"

    owner.commit()
    stopping.join(60)
    owner.close()

    assert stopped == [True]
    assert pg.row(execution).status == "stopped"
