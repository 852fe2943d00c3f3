"""The suite that every store passes: signals, and the waits that they end."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from app.store.keys import RequestKey
from app.store.protocol import RunStore
from app.store.records import Claimed, Effect, Parked, SignalTaken, Void, Woken
from app.store.signals import MOST_KEPT, Full, Refused, Sent, SentBefore, SignalStore
from tests.integration.store.boundaries import DONE, boundary, checkpoint, claim, write
from tests.memory_world import MemoryWorld
from tests.world import PgWorld

EitherWorld = PgWorld | MemoryWorld

SIGNALS = "chaingraph_signals"
EXECUTIONS = "chaingraph_executions"
WAITING = '{"for":"signal"}'
KEY = RequestKey("local", "POST /x", "k1", "hash")


@pytest.fixture
def signals(world: EitherWorld) -> SignalStore:
    return SignalStore(world.database)


@pytest.fixture
def claimed(store: RunStore, world: EitherWorld) -> Claimed:
    return claim(store, world.create())


def wait_of(node_id: str, name: str = "go", place: int = 0, **more: Any) -> Any:
    """The checkpoint of a node that waits for a signal."""
    outputs = json.dumps({"$signal": name, "$place": place})
    return checkpoint(node_id, seq=place, status="waiting", outputs=outputs, **more)


def begin_waits(store: RunStore, claimed: Claimed, *waits: Any) -> None:
    write(store, claimed, 0, boundary("node:started", checkpoints=waits))


def kept(effect: Effect) -> Sent:
    return Sent(None, effect, is_runnable=False)


def taken(store: RunStore, claimed: Claimed, *nodes: str, name: str = "go") -> list[Any]:
    """Node, payload and whether it timed out of each wait that ended, in their order."""
    found = store.take_signals(claimed.fence, nodes, [name])
    assert not isinstance(found, Void)
    assert all(each.waited_ms >= 0 for each in found)
    return [(each.node_id, each.payload, each.timed_out) for each in found]


# -- sending


def test_a_signal_that_no_node_waits_for_is_kept(
    world: EitherWorld, signals: SignalStore, claimed: Claimed
) -> None:
    id_ = claimed.fence.execution_id
    before = world.row(id_)

    assert signals.send(id_, "go", '{"by":"Ada"}') == kept(Effect(id_))

    [row] = world.rows(SIGNALS)
    assert (row.execution_id, row.name, row.payload) == (id_, "go", {"by": "Ada"})
    assert (row.node_id, row.taken_at, row.timed_out) == (None, None, False)
    assert world.row(id_) == before


def test_a_signal_goes_to_the_first_node_in_document_order_that_waits_for_it(
    world: EitherWorld, store: RunStore, signals: SignalStore, claimed: Claimed
) -> None:
    id_ = claimed.fence.execution_id
    begin_waits(
        store,
        claimed,
        wait_of("late", place=7),
        wait_of("other", "stop", place=1),
        wait_of("early", place=2),
    )

    first = signals.send(id_, "go", "1")
    second = signals.send(id_, "go", "2")
    third = signals.send(id_, "go", "3")

    assert first == Sent("early", Effect(id_, None, ["w1"]), is_runnable=False)
    assert second == Sent("late", Effect(id_, None, ["w1"]), is_runnable=False)
    assert third == kept(Effect(id_))
    nodes = ("late", "other", "early")
    assert taken(store, claimed, *nodes) == [("early", "1", False), ("late", "2", False)]
    assert taken(store, claimed, "late") == [("late", "2", False)]
    assert world.row(id_).wake == 2


def test_what_is_parked_is_runnable_again(
    world: EitherWorld, store: RunStore, signals: SignalStore, claimed: Claimed
) -> None:
    id_ = claimed.fence.execution_id
    begin_waits(store, claimed, wait_of("a"))
    assert store.park(claimed.fence, claimed.writes + 1, claimed.wake, WAITING, None) == Parked()

    assert signals.send(id_, "stop", "1") == kept(Effect(id_))
    assert (world.row(id_).runnable_at, world.row(id_).waiting) == (None, {"for": "signal"})
    assert signals.send(id_, "go", "2") == Sent("a", Effect(id_), is_runnable=True)

    row = world.row(id_)
    assert row.runnable_at is not None
    assert row.waiting is None
    again = claim(store, id_, "w2")
    assert taken(store, again, "a") == [("a", "2", False)]


def test_nothing_parks_past_a_signal(
    store: RunStore, signals: SignalStore, claimed: Claimed
) -> None:
    begin_waits(store, claimed, wait_of("a"))
    signals.send(claimed.fence.execution_id, "go", "1")

    parked = store.park(claimed.fence, claimed.writes + 1, claimed.wake, WAITING, None)

    assert parked == Woken(claimed.wake + 1)


def test_what_is_paused_finds_the_signal_when_it_is_resumed(
    world: EitherWorld, store: RunStore, signals: SignalStore, claimed: Claimed
) -> None:
    id_ = claimed.fence.execution_id
    begin_waits(store, claimed, wait_of("a"))
    store.park(claimed.fence, claimed.writes + 1, claimed.wake, WAITING, None)
    world.commands().pause(id_, "why")

    assert signals.send(id_, "go", "1") == Sent("a", Effect(id_), is_runnable=False)

    row = world.row(id_)
    assert (row.status, row.runnable_at, row.waiting["for"]) == ("paused", None, "resume")
    world.commands().resume(id_)
    assert taken(store, claim(store, id_), "a") == [("a", "1", False)]


def test_what_has_not_begun_keeps_its_signals(world: EitherWorld, signals: SignalStore) -> None:
    id_ = world.create(start=False)

    assert signals.send(id_, "go", "1") == kept(Effect(id_))
    assert world.row(id_).runnable_at is None


def test_what_is_over_takes_none(
    world: EitherWorld, store: RunStore, signals: SignalStore, claimed: Claimed
) -> None:
    write(store, claimed, 0, DONE)

    assert signals.send(claimed.fence.execution_id, "go", "1") == Refused("completed")
    assert signals.send("EXnothing", "go", "1") is None
    assert world.rows(SIGNALS) == []


def test_a_thousand_are_kept_and_no_more(
    world: EitherWorld, store: RunStore, signals: SignalStore, claimed: Claimed
) -> None:
    id_ = claimed.fence.execution_id
    _keep(world, signals, id_, MOST_KEPT - 1)

    assert signals.send(id_, "other", "1") == kept(Effect(id_))
    assert signals.send(id_, "go", "1") == Full()
    begin_waits(store, claimed, wait_of("a", "other"))
    assert taken(store, claimed, "a", name="other") == [("a", "1", False)]
    assert signals.send(id_, "go", "1") == kept(Effect(id_))


def _keep(world: EitherWorld, signals: SignalStore, id_: str, count: int) -> None:
    if isinstance(world, PgWorld):
        world.execute(
            "INSERT INTO chaingraph_signals (execution_id, name, payload, sent_at)"
            " SELECT %s, 'go', '1', clock_timestamp() FROM generate_series(1, %s)",
            id_,
            count,
        )
        return
    for _ in range(count):
        signals.send(id_, "go", "1")


def test_a_key_sends_once(
    store: RunStore, signals: SignalStore, claimed: Claimed, world: EitherWorld
) -> None:
    id_ = claimed.fence.execution_id
    assert signals.send(id_, "go", "1", KEY) == kept(Effect(id_))
    assert signals.send(id_, "go", "1", KEY) == SentBefore("hash", None)

    begin_waits(store, claimed, wait_of("a"))
    assert taken(store, claimed, "a") == [("a", "1", False)]
    assert signals.send(id_, "go", "1", KEY) == SentBefore("hash", "a")
    write(store, claimed, 1, DONE)
    assert signals.send(id_, "go", "1", KEY) == SentBefore("hash", "a")
    assert len(world.rows(SIGNALS)) == 1


def test_what_is_refused_leaves_no_key(
    world: EitherWorld, store: RunStore, signals: SignalStore, claimed: Claimed
) -> None:
    write(store, claimed, 0, DONE)

    for _ in range(2):
        assert signals.send(claimed.fence.execution_id, "go", "1", KEY) == Refused("completed")
    assert world.rows("chaingraph_idempotency_keys") == []


# -- taking


def test_a_wait_takes_the_oldest_that_is_kept(
    store: RunStore, signals: SignalStore, claimed: Claimed
) -> None:
    id_ = claimed.fence.execution_id
    for name, payload in (("stop", "0"), ("go", "1"), ("go", "2"), ("go", "3")):
        signals.send(id_, name, payload)
    begin_waits(store, claimed, wait_of("b", place=1), wait_of("a", place=0))

    assert taken(store, claimed, "a", "b") == [("a", "1", False), ("b", "2", False)]
    assert taken(store, claimed, "a", "b") == [("a", "1", False), ("b", "2", False)]
    assert signals.send(id_, "go", "4") == kept(Effect(id_))


def test_who_sends_gives_what_is_kept_first(
    store: RunStore, signals: SignalStore, claimed: Claimed
) -> None:
    """A wait was written, and its run has yet to look for what had come before."""
    id_ = claimed.fence.execution_id
    signals.send(id_, "go", "1")
    begin_waits(store, claimed, wait_of("a", place=0), wait_of("b", place=1))

    sent = signals.send(id_, "go", "2")

    assert isinstance(sent, Sent)
    assert sent.node_id == "b"
    assert taken(store, claimed, "a", "b") == [("a", "1", False), ("b", "2", False)]


def test_only_an_owner_takes(
    world: EitherWorld, store: RunStore, signals: SignalStore, claimed: Claimed
) -> None:
    id_ = claimed.fence.execution_id
    signals.send(id_, "go", "1")
    begin_waits(store, claimed, wait_of("a"))
    world.take_over(id_)

    assert store.take_signals(claimed.fence, ["a"], ["go"]) == Void()
    store.end_signal_wait(claimed.fence, "a", "go")

    assert [row.node_id for row in world.rows(SIGNALS)] == [None]
    assert taken(store, claim(store, id_, "w2"), "a") == [("a", "1", False)]


def test_nothing_is_taken_where_nothing_came(store: RunStore, claimed: Claimed) -> None:
    begin_waits(store, claimed, wait_of("a"))

    assert taken(store, claimed, "a") == []


def test_what_waits_for_something_else_takes_nothing(
    store: RunStore, signals: SignalStore, claimed: Claimed
) -> None:
    asleep = checkpoint("nap", status="waiting", outputs='{"actualDuration":5}')
    failed = checkpoint("b", seq=1, status="waiting", outputs=None, error='{"type":"E"}')
    done = checkpoint("c", seq=2, outputs='{"$signal":"go","$place":2,"text":"\\u0000"}')
    write(store, claimed, 0, boundary("node:started", checkpoints=[asleep, failed, done]))

    assert signals.send(claimed.fence.execution_id, "go", "1") == kept(
        Effect(claimed.fence.execution_id)
    )


# -- by its time


def test_the_time_ends_a_wait_once(
    world: EitherWorld, store: RunStore, signals: SignalStore, claimed: Claimed
) -> None:
    id_ = claimed.fence.execution_id
    begin_waits(store, claimed, wait_of("a"))

    for _ in range(2):
        store.end_signal_wait(claimed.fence, "a", "go")

    assert taken(store, claimed, "a") == [("a", None, True)]
    assert len(world.rows(SIGNALS)) == 1
    assert signals.send(id_, "go", "1") == kept(Effect(id_))
    assert taken(store, claimed, "a") == [("a", None, True)]


def test_a_signal_that_was_quicker_is_not_lost(
    store: RunStore, signals: SignalStore, claimed: Claimed
) -> None:
    begin_waits(store, claimed, wait_of("a"))
    signals.send(claimed.fence.execution_id, "go", "1")

    store.end_signal_wait(claimed.fence, "a", "go")

    assert taken(store, claimed, "a") == [("a", "1", False)]


def test_a_signal_after_its_time_is_kept(
    world: EitherWorld, store: RunStore, signals: SignalStore, claimed: Claimed
) -> None:
    """Nobody had the time to end the wait; it is over all the same."""
    id_ = claimed.fence.execution_id
    ago = store.now() - timedelta(seconds=1)
    begin_waits(store, claimed, wait_of("late", retry_at=ago), wait_of("b", place=1))

    sent = signals.send(id_, "go", "1")
    assert isinstance(sent, Sent)
    assert sent.node_id == "b"
    assert signals.send(id_, "go", "2") == kept(Effect(id_))

    assert taken(store, claimed, "late", "b") == [("b", "1", False)]
    store.end_signal_wait(claimed.fence, "late", "go")
    assert taken(store, claimed, "late", "b") == [("b", "1", False), ("late", None, True)]


def test_what_was_waited_is_told(
    world: EitherWorld, store: RunStore, signals: SignalStore, claimed: Claimed
) -> None:
    id_ = claimed.fence.execution_id
    begin_waits(store, claimed, wait_of("a"))
    where = {"execution_id": id_, "node_id": "a"}
    began = store.now() - timedelta(days=40)
    world.change("chaingraph_checkpoints", where, started_at=began)

    signals.send(id_, "go", "1")

    [each] = store.take_signals(claimed.fence, ["a"], ["go"])  # type: ignore[misc]
    assert isinstance(each, SignalTaken)
    assert each.waited_ms >= 40 * 86_400_000


# -- at once


def test_many_at_once_each_go_to_one_node(pg: PgWorld) -> None:
    store, signals = pg.open(), SignalStore(pg.database)
    claimed = claim(store, pg.create())
    id_ = claimed.fence.execution_id
    nodes = [f"n{place}" for place in range(10)]
    waits = [wait_of(node, place=place) for place, node in enumerate(nodes)]
    signals.send(id_, "go", "-1")
    begin_waits(store, claimed, *waits)
    barrier = threading.Barrier(9)

    def send(number: int) -> str | None:
        barrier.wait()
        sent = signals.send(id_, "go", str(number))
        assert isinstance(sent, Sent)
        return sent.node_id

    with ThreadPoolExecutor(8) as pool:
        sending = [pool.submit(send, number) for number in range(8)]
        barrier.wait()
        for node in nodes[5:]:
            store.end_signal_wait(claimed.fence, node, "go")
            store.take_signals(claimed.fence, nodes, ["go"])
        delivered = [each.result() for each in sending]

    ended = taken(store, claimed, *nodes)
    by_signal = {node: payload for node, payload, timed_out in ended if not timed_out}
    assert len(ended) == len({node for node, _, _ in ended})
    assert by_signal["n0"] == "-1"
    told = {node: str(number) for number, node in enumerate(delivered) if node}
    assert told == {node: payload for node, payload in by_signal.items() if node != "n0"}
    # Of what is kept, the rest follows in the order of arrival.
    rows = pg.execute("SELECT payload, node_id, timed_out FROM chaingraph_signals ORDER BY id")
    sent_in_order = [row for row in rows if not row.timed_out]
    assert len(sent_in_order) == 9
    first_kept = [row.node_id is None for row in sent_in_order]
    assert first_kept == sorted(first_kept)
