from __future__ import annotations

import json
import time
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from prometheus_client import generate_latest
from redis import Redis
from websockets.sync.client import ClientConnection

from app.store.database import Database
from app.store.events import EventLog
from app.streams import hub, keys
from app.streams.protocol import Batch
from app.streams.reader import redis_hub
from tests.integration.streams.conftest import History, Serve, Served, receive_all
from tests.reading_metrics import value
from tests.waiting import wait_until

STARTED = ("node:started", {"nodeId": "a"})
DONE = ("node:completed", {"nodeId": "a", "outputs": {"x": 0.1, "n": 2**70}})
ENDED = ("execution:completed", {"executionTimeMs": 3})


def next_frame(socket: ClientConnection, within_s: float = 60.0) -> dict[str, Any]:
    frame: dict[str, Any] = json.loads(socket.recv(timeout=within_s))
    return frame


def test_a_finished_execution_is_replayed_and_ends(served: Served, history: History) -> None:
    execution = history.create()
    history.tell(execution, STARTED, DONE, ENDED)
    with served.connect() as socket:
        received = receive_all(socket)
    assert received.indexes == [-1, 0, 1, 2]
    assert received.frames == [
        {"events": received.events, "nextIndex": 3},
        {"end": True, "status": "completed", "nextIndex": 3},
    ]
    assert received.code == 1000


def test_where_the_log_fell_back_it_is_told_once_redis_is_empty(
    serve: Serve, history: History, database_url: str, redis_url: str
) -> None:
    execution = history.create()
    history.tell(execution, STARTED, ENDED)
    history.execute(
        "UPDATE chaingraph_executions SET last_event_index = -1, status = 'running',"
        " completed_at = NULL"
    )
    history.execute("DELETE FROM chaingraph_event_batches WHERE first_index >= 0")
    history.tell(execution, ("node:started", {"nodeId": "b"}), DONE, ENDED)

    history.lose_streams()

    with serve(database_url, redis_url).connect() as socket:
        told = receive_all(socket).events
    assert [event["data"].get("nodeId") for event in told] == [None, "b", "a", None]


def test_what_is_sent_is_counted_and_how_late_it_was(served: Served, history: History) -> None:
    execution = history.create()

    def counted(name: str) -> float:
        return value(generate_latest(served.metrics).decode(), f"chaingraph_relay_{name}")

    with served.connect(batchTimeoutMs=0) as socket:
        assert len(next_frame(socket)["events"]) == 1
        assert counted("sockets") == 1
        history.tell(execution, STARTED, DONE, ENDED)
        assert receive_all(socket).code == 1000
    wait_until(lambda: counted("sockets") == 0, "the socket is gone")
    assert counted("events_total") == 4
    # Not of what was there before.
    assert 1 <= counted("lag_seconds_count") <= 3


def test_redis_and_postgresql_give_the_same_events(served: Served, history: History) -> None:
    execution = history.create()
    history.tell(execution, STARTED, DONE, ENDED)
    with served.connect() as socket:
        from_redis = socket.recv(timeout=60)
    history.forget(execution)
    with served.connect() as socket:
        assert socket.recv(timeout=60) == from_redis
    [event] = json.loads(from_redis)["events"][2:3]
    assert set(event) == {"index", "type", "timestamp", "executionId", "data"}
    assert event["data"]["outputs"] == {"x": 0.1, "n": 2**70}


def test_live_events_arrive_as_they_are_published(served: Served, history: History) -> None:
    execution = history.create()
    with served.connect(batchTimeoutMs=0) as socket:
        assert [e["index"] for e in next_frame(socket)["events"]] == [-1]
        history.tell(execution, STARTED)
        assert [e["index"] for e in next_frame(socket)["events"]] == [0]
        history.tell(execution, DONE, ENDED)
        assert receive_all(socket).indexes == [1, 2]


def test_events_that_were_not_published_come_from_postgresql(
    served: Served, history: History
) -> None:
    execution = history.create()
    with served.connect() as socket:
        assert next_frame(socket)["nextIndex"] == 0
        history.commit(execution, STARTED)
        history.commit(execution, DONE, ENDED)
        received = receive_all(socket)
    assert received.indexes == [0, 1, 2]
    assert received.frames[-1]["status"] == "completed"


def test_a_hole_in_the_stream_is_filled_from_postgresql(served: Served, history: History) -> None:
    execution = history.create()
    with served.connect(batchTimeoutMs=0) as socket:
        assert next_frame(socket)["nextIndex"] == 0
        history.commit(execution, STARTED)
        history.tell(execution, DONE)
        history.tell(execution, ENDED)
        assert receive_all(socket).indexes == [0, 1, 2]


def test_a_stream_cut_at_its_beginning_is_filled_from_postgresql(
    served: Served, history: History
) -> None:
    execution = history.create(publish=False)
    history.commit(execution, STARTED)
    history.tell(execution, DONE)
    history.tell(execution, ENDED)
    with served.connect() as socket:
        assert receive_all(socket).indexes == [-1, 0, 1, 2]


def test_redis_flushed_in_between_costs_nothing(served: Served, history: History) -> None:
    execution = history.create()
    with served.connect(batchTimeoutMs=0) as socket:
        assert next_frame(socket)["nextIndex"] == 0
        history.lose_streams()
        history.tell(execution, STARTED)
        assert next_frame(socket)["nextIndex"] == 1
        history.commit(execution, DONE)
        history.lose_streams()
        history.tell(execution, ENDED)
        assert receive_all(socket).indexes == [1, 2]


@pytest.mark.parametrize("entry_id", ["*", "2-0"])
def test_what_others_write_into_the_stream_is_passed_over(
    served: Served, history: History, redis: Redis, entry_id: str
) -> None:
    execution = history.create()
    with served.connect() as socket:
        assert next_frame(socket)["nextIndex"] == 0
        redis.xadd(keys.events(execution), {"foreign": "entry"}, id=entry_id)
        history.tell(execution, STARTED)
        history.tell(execution, DONE, ENDED)
        assert receive_all(socket).indexes == [0, 1, 2]
    with served.connect() as socket:
        assert receive_all(socket).indexes == [-1, 0, 1, 2]


def test_publishing_twice_is_refused_by_redis(served: Served, history: History) -> None:
    execution = history.create()
    first, lines = history.commit(execution, STARTED)
    for _ in range(3):
        history.publish(execution, first, lines)
    history.tell(execution, DONE, ENDED)
    history.publish(execution, first, lines)
    with served.connect() as socket:
        assert receive_all(socket).indexes == [-1, 0, 1, 2]


def test_a_client_resumes_in_the_middle_of_a_batch(served: Served, history: History) -> None:
    execution = history.create()
    history.tell(execution, STARTED, DONE, ENDED)
    for from_index in range(-1, 3):
        with served.connect(fromIndex=from_index) as socket:
            assert receive_all(socket).indexes == list(range(from_index, 3))


@pytest.mark.parametrize("from_index", [3, 50])
def test_past_the_end_there_is_only_the_end(
    served: Served, history: History, from_index: int
) -> None:
    execution = history.create()
    history.tell(execution, STARTED, DONE, ENDED)
    with served.connect(fromIndex=from_index) as socket:
        received = receive_all(socket)
    assert received.frames == [{"end": True, "status": "completed", "nextIndex": 3}]


def test_a_client_ahead_of_a_live_execution_hears_its_end(
    served: Served, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    # From the stream, whose last event says it.
    monkeypatch.setattr(hub, "TICK_S", 600.0)
    execution = history.create()
    with served.connect(fromIndex=50) as socket:
        history.tell(execution, ENDED)
        received = receive_all(socket)
    assert received.frames == [{"end": True, "status": "completed", "nextIndex": 1}]


@pytest.mark.parametrize("in_redis", [True, False])
def test_filtered_events_are_left_out_and_passed(
    served: Served, history: History, in_redis: bool
) -> None:
    execution = history.create()
    history.tell(execution, STARTED, DONE, STARTED, STARTED, ENDED)
    if not in_redis:
        history.forget(execution)
    with served.connect(eventTypes="node:completed,node:failed") as socket:
        received = receive_all(socket)
    assert received.indexes == [1]
    assert received.frames[0]["nextIndex"] == 5
    assert received.frames[1] == {"end": True, "status": "completed", "nextIndex": 5}


def test_a_filter_that_nothing_passes_leaves_the_end(served: Served, history: History) -> None:
    execution = history.create()
    history.tell(execution, *[STARTED] * 300)
    history.commit(execution, *[STARTED] * 300)
    with served.connect(eventTypes="node:failed") as socket:
        history.tell(execution, ("execution:stopped", {}))
        received = receive_all(socket)
    assert received.frames == [{"end": True, "status": "stopped", "nextIndex": 601}]


@pytest.mark.parametrize("in_redis", [True, False])
def test_frames_hold_no_more_than_the_batch_size(
    served: Served, history: History, in_redis: bool
) -> None:
    execution = history.create()
    history.tell(execution, *[STARTED] * 18, ENDED)
    if not in_redis:
        history.forget(execution)
    with served.connect(batchSize=7) as socket:
        received = receive_all(socket)
    assert [len(frame.get("events", ())) for frame in received.frames] == [7, 7, 6, 0]
    assert [frame["nextIndex"] for frame in received.frames] == [6, 13, 19, 19]
    assert received.indexes == list(range(-1, 19))


@pytest.mark.parametrize("in_redis", [True, False])
def test_frames_end_before_64_kib(served: Served, history: History, in_redis: bool) -> None:
    execution = history.create()
    large = ("node:completed", {"nodeId": "a", "outputs": {"x": "x" * 60_000}})
    for _ in range(6):
        history.tell(execution, large, large, large)
    history.tell(execution, ENDED)
    if not in_redis:
        history.forget(execution)
    with served.connect(batchSize=1000) as socket:
        frames = list(socket)
    assert all(len(frame) <= 64 * 1024 for frame in frames)
    read = [json.loads(frame) for frame in frames]
    events = [event["index"] for frame in read for event in frame.get("events", ())]
    assert events == list(range(-1, 19))


def test_events_are_gathered_for_the_batch_timeout(served: Served, history: History) -> None:
    execution = history.create()
    with served.connect(batchTimeoutMs=1000, fromIndex=0) as socket:
        for _ in range(5):
            history.tell(execution, STARTED)
        assert len(next_frame(socket)["events"]) == 5


def test_a_full_batch_does_not_wait(served: Served, history: History) -> None:
    execution = history.create()
    with served.connect(batchTimeoutMs=1000, batchSize=2, fromIndex=0) as socket:
        took_s = []
        # A busy machine is slow now and then; what waits for the rest of its second always is.
        while len(took_s) < 5 and min(took_s, default=1.0) > 0.8:
            began = time.monotonic()
            history.tell(execution, STARTED, STARTED)
            assert len(next_frame(socket)["events"]) == 2
            took_s.append(time.monotonic() - began)
    assert min(took_s) <= 0.8


def test_many_sockets_watch_one_execution(served: Served, history: History) -> None:
    execution = history.create()
    with served.connect() as one, served.connect(fromIndex=0) as two:
        history.tell(execution, STARTED)
        history.tell(execution, ENDED)
        assert receive_all(one).indexes == [-1, 0, 1]
        assert receive_all(two).indexes == [0, 1]


def test_a_deleted_execution_closes_its_sockets(served: Served, history: History) -> None:
    execution = history.create()
    with served.connect() as socket:
        assert next_frame(socket)["nextIndex"] == 0
        history.delete(execution)
        assert receive_all(socket).code == 1008


def test_a_thousand_batches_go_out_in_one_call(history: History, redis: Redis) -> None:
    batches = [Batch(f"EX{number}", -1, [b'{"index":-1}']) for number in range(1000)]
    wait_until(lambda: history.publisher.publish_many(batches), "they are published")
    wait_until(lambda: redis.dbsize() >= 1000, "all streams are there")


def test_a_row_that_somebody_has_locked_keeps_no_watcher_out(
    serve: Serve, history: History, database_url: str, redis_url: str
) -> None:
    """Its events come all the same, each once, and it is marked once it can be."""
    execution = history.create()
    database = Database(database_url, application_name="cg-web")
    log = EventLog(database)
    served = serve.over(redis_hub(redis_url, log, log.watch), database.engine.dispose)

    def is_marked() -> bool:
        [(watched,)] = history.execute(
            "SELECT watched FROM chaingraph_executions WHERE id = %s", execution
        )
        return bool(watched)

    with closing(psycopg2.connect(database_url)) as other, other.cursor() as cursor:
        cursor.execute("SELECT FROM chaingraph_executions WHERE id = %s FOR UPDATE", (execution,))
        with served.connect(batchTimeoutMs=0) as socket:
            # The lock is held until here: who waited for it would never come so far.
            assert next_frame(socket)["nextIndex"] == 0
            assert not is_marked()
            other.commit()
            # What nobody publishes while it isn't marked is looked for.
            history.commit(execution, STARTED)
            assert next_frame(socket)["nextIndex"] == 1
            wait_until(is_marked, "it is marked")
            history.tell(execution, DONE, ENDED)
            assert receive_all(socket).indexes == [1, 2]
