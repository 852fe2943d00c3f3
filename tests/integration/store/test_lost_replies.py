"""Replies and requests that are lost on their way, held rows, and what a store makes of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from app.errors import StoreUnavailable
from app.events.types import Event, EventType
from app.executions.writer import Outcome, Writer
from app.store.database import Database
from app.store.records import Boundary, Claimed, Ending, Progress, Void, Written
from app.store.runs import PgRunStore
from tests.integration.store.boundaries import DONE, LEASE_MS, boundary, checkpoint, claim, write
from tests.proxy import Proxy
from tests.waiting import wait_until
from tests.world import PgWorld

STEP = boundary("node:completed", "node:started", checkpoints=[checkpoint()])


@pytest.fixture
def cable(proxy: tuple[Proxy, Database]) -> Proxy:
    return proxy[0]


@pytest.fixture
def far(proxy: tuple[Proxy, Database]) -> Iterator[PgRunStore]:
    """A store behind the proxy."""
    store = PgRunStore(proxy[1])
    yield store
    store.close()


@pytest.fixture
def claimed(pg: PgWorld, far: PgRunStore) -> Claimed:
    claimed = claim(far, pg.create())
    write(far, claimed, 0, boundary("flow:started"))
    return claimed


@pytest.mark.parametrize("lost", [STEP, DONE], ids=["a boundary", "the end"])
@pytest.mark.parametrize("loss", ["lose_reply_to", "lose_request"])
def test_a_write_without_a_reply_is_done_once(
    pg: PgWorld, cable: Proxy, far: PgRunStore, claimed: Claimed, lost: Boundary, loss: str
) -> None:
    getattr(cable, loss)("\0write_")
    with pytest.raises(StoreUnavailable):
        far.write(claimed.fence, claimed.writes + 1, lost)
    was_done = pg.writes(claimed.fence.execution_id) == 2
    assert was_done == (loss == "lose_reply_to")

    settled = far.settle_unknown(claimed.fence, claimed.writes + 1, lost)

    assert isinstance(settled, Written)
    assert settled.first_index == 1
    row = pg.row(claimed.fence.execution_id)
    assert (row.writes, row.last_event_index) == (claimed.writes + 2, 2)
    assert settled.at == row.updated_at
    assert len(pg.events(claimed.fence.execution_id)) == 4


def test_a_reply_that_was_held_back_is_of_a_write_that_was_done(
    pg: PgWorld, cable: Proxy, far: PgRunStore, claimed: Claimed
) -> None:
    failures: list[StoreUnavailable] = []

    def attempt() -> None:
        try:
            far.write(claimed.fence, claimed.writes + 1, STEP)
        except StoreUnavailable as error:
            failures.append(error)

    cable.hold_replies()
    held = cable.held
    thread = threading.Thread(target=attempt)
    thread.start()
    wait_until(lambda: cable.held > held, "the server has answered")
    cable.cut()
    thread.join(60)
    cable.mend()

    assert len(failures) == 1
    settled = far.settle_unknown(claimed.fence, claimed.writes + 1, STEP)
    assert isinstance(settled, Written)
    assert pg.writes(claimed.fence.execution_id) == 2


def test_a_write_that_is_still_on_its_way_when_it_is_asked_for_is_done_once(
    pg: PgWorld, cable: Proxy, far: PgRunStore, claimed: Claimed
) -> None:
    execution = claimed.fence.execution_id
    beside = pg.connect()
    beside.autocommit = False
    with beside.cursor() as cursor:
        cursor.execute("SELECT 1 FROM chaingraph_executions WHERE id = %s FOR UPDATE", (execution,))
    lost = threading.Thread(target=_ignoring_loss, args=(far, claimed))
    lost.start()
    wait_until(lambda: waiting_for_locks(pg) == 1, "the write waits for the row")
    cable.cut_clients()
    lost.join(60)
    settled: list[Written | Void] = []
    again = threading.Thread(
        target=lambda: settled.append(far.settle_unknown(claimed.fence, claimed.writes + 1, STEP))
    )
    again.start()
    wait_until(lambda: waiting_for_locks(pg) == 2, "it is repeated, behind the first")

    beside.rollback()
    again.join(60)
    beside.close()

    assert isinstance(settled[0], Written)
    assert settled[0].first_index == 1
    assert pg.writes(execution) == 2
    assert len(pg.events(execution)) == 4


def _ignoring_loss(store: PgRunStore, claimed: Claimed) -> None:
    with pytest.raises(StoreUnavailable):
        store.write(claimed.fence, claimed.writes + 1, STEP)


def waiting_for_locks(pg: PgWorld) -> int:
    waiting: int = pg.one(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return waiting


def test_a_row_that_is_held_for_a_while_is_written_once_it_is_free(
    pg: PgWorld, far: PgRunStore, claimed: Claimed
) -> None:
    beside = pg.connect()
    beside.autocommit = False
    with beside.cursor() as cursor:
        cursor.execute("SELECT 1 FROM chaingraph_executions FOR UPDATE")
    outcome: list[Written | Void] = []
    thread = threading.Thread(
        target=lambda: outcome.append(far.write(claimed.fence, claimed.writes + 1, STEP))
    )
    thread.start()
    wait_until(lambda: waiting_for_locks(pg) == 1, "the write waits")
    # Longer than `lock_timeout`: the statement is ended once and tried again.
    first = pg.one("SELECT min(query_start) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    wait_until(
        lambda: (
            (
                pg.one(
                    "SELECT max(query_start) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                )
                or first
            )
            > first
        ),
        "it is tried again",
    )
    beside.rollback()
    thread.join(60)
    beside.close()

    assert isinstance(outcome[0], Written)


def test_a_claim_passes_by_what_another_connection_holds(pg: PgWorld) -> None:
    held, free = pg.create(), pg.create()
    beside = pg.connect()
    beside.autocommit = False
    with beside.cursor() as cursor:
        cursor.execute("SELECT 1 FROM chaingraph_executions WHERE id = %s FOR UPDATE", (held,))
    store = pg.open()

    assert store.claim("w1", "t", LEASE_MS, held) is None
    assert claim(store, None).fence.execution_id == free
    assert store.claim("w1", "t", LEASE_MS) is None

    beside.close()


def test_a_store_whose_connection_is_gone_opens_another(
    pg: PgWorld, cable: Proxy, far: PgRunStore, claimed: Claimed
) -> None:
    cable.cut()
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            far.holds(claimed.fence)
    cable.mend()

    assert far.holds(claimed.fence)


# -- the same through a run's writer


class Told:
    def __init__(self) -> None:
        self.batches: list[tuple[int, int]] = []

    def __call__(self, _: str, first: int, lines: object) -> None:
        self.batches.append((first, len(lines)))  # type: ignore[arg-type]


def make_writer(store: PgRunStore, claimed: Claimed, told: Told) -> Writer:
    return Writer(
        store, told, claimed.fence, claimed.writes + 1, clock=lambda: 0.0, pause=lambda _: None
    )


@pytest.mark.parametrize("ending", [None, Ending("completed")], ids=["a boundary", "the end"])
@pytest.mark.parametrize("loss", ["lose_reply_to", "lose_request"])
def test_a_writer_commits_once_and_tells_once_what_is_lost_on_its_way(
    pg: PgWorld,
    cable: Proxy,
    far: PgRunStore,
    claimed: Claimed,
    loss: str,
    ending: Ending | None,
) -> None:
    told = Told()
    writer = make_writer(far, claimed, told)
    writer.gather([Event(EventType.NODE_STARTED, {"nodeId": "a"})] * 2, 0)
    writer.add(checkpoint())
    getattr(cable, loss)("\0write_")

    assert writer.commit("{}", Progress(completed=1), ending) is Outcome.HELD

    assert cable.losses == 1
    assert told.batches == [(1, 2)]
    row = pg.row(claimed.fence.execution_id)
    assert (row.writes, row.last_event_index) == (writer.writes, 2)
    assert writer.writes == claimed.writes + 2
    assert writer.written_at == row.updated_at
    assert len(far.checkpoints(claimed.fence.execution_id)) == 1


def test_a_writer_tells_nothing_of_a_lost_write_once_another_has_the_run(
    pg: PgWorld, cable: Proxy, far: PgRunStore, claimed: Claimed
) -> None:
    told = Told()

    def be_taken_over(_: float) -> None:
        pg.take_over(claimed.fence.execution_id)
        cable.mend()

    writer = Writer(
        far, told, claimed.fence, claimed.writes + 1, clock=lambda: 0.0, pause=be_taken_over
    )
    writer.gather([Event(EventType.NODE_STARTED, {"nodeId": "a"})], 0)
    cable.cut()

    assert writer.commit("{}", Progress()) is Outcome.LOST
    assert told.batches == []
    assert len(pg.events(claimed.fence.execution_id)) == 2
