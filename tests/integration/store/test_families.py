"""The suite that every store passes: parents and children."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from psycopg.errors import UniqueViolation as LineUniqueViolation
from psycopg2.errors import UniqueViolation

from app.events.wire import to_json
from app.nodes.emission import LONGEST_NAME
from app.store.protocol import RunStore
from app.store.records import (
    Claimed,
    Ending,
    Family,
    Fence,
    NewChild,
    Parked,
    Pausing,
    Recalled,
    Void,
    Woken,
    Written,
)
from tests.integration.store.boundaries import DONE, boundary, checkpoint, claim, write
from tests.world import OPTIONS, World

WAITING = '{"for":"children"}'
EVENTS = '[{"eventName":"order","payload":{"n":1}}]'


def child(number: int, node: str = "emit", **more: Any) -> NewChild:
    fields: dict[str, Any] = {
        "id": f"EXchild{number}",
        "node_id": node,
        "ordinal": number,
        "flow_id": "V2flow",
        "flow_version": 1,
        "nodes_total": 3,
        "created_event": '{"flowId":"V2flow"}',
        "external_events": EVENTS,
    }
    return NewChild(**fields | more)


def birth(*numbers: int, **more: Any) -> Any:
    """A boundary that makes these children."""
    born = [child(number) for number in numbers]
    spawned = ["child:spawned"] * len(born)
    return boundary(*spawned, family=Family(born, counted=len(born)), **more)


def note(*numbers: int, **more: Any) -> Any:
    """A boundary that notes the ends of these."""
    noted = [f"EXchild{number}" for number in numbers]
    return boundary("child:completed", family=Family(noted=noted), **more)


@pytest.fixture
def parent(store: RunStore, world: World) -> Claimed:
    """A running execution with two children, written twice."""
    claimed = claim(store, world.create(priority=7, integration='{"key":"value"}'))
    write(store, claimed, 0, boundary("flow:started"))
    write(store, claimed, 1, birth(0, 1, checkpoints=[checkpoint("emit")]))
    return claimed


def finish(world: World, number: int, ending: Ending | None = None) -> Fence:
    """Run a child to its end."""
    other = world.open()
    claimed = claim(other, f"EXchild{number}", "w2")
    write(other, claimed, 0, boundary("flow:started"))
    last = DONE if ending is None else boundary("execution:failed", ending=ending)
    write(other, claimed, 1, last)
    return claimed.fence


def standing(world: World, parent: Claimed) -> set[tuple[str, str]]:
    return set(world.table.children(parent.fence.execution_id))


def test_it_is_known_which_nodes_have_children_that_run_or_have_ended(
    store: RunStore, world: World, parent: Claimed
) -> None:
    assert standing(world, parent) == {("emit", "open")}

    finish(world, 0)
    assert standing(world, parent) == {("emit", "open"), ("emit", "untold")}

    write(store, parent, 2, note(0))
    assert standing(world, parent) == {("emit", "open")}
    assert world.table.children("EXchild0") == []


def state(world: World, number: int) -> str | None:
    known: str | None = world.row(f"EXchild{number}").child_state
    return known


def test_a_child_is_made_with_the_boundary_and_has_the_rest_of_its_parent(
    world: World, parent: Claimed
) -> None:
    mother, row = world.row(parent.fence.execution_id), world.row("EXchild1")

    assert (row.parent_execution_id, row.root_execution_id) == (mother.id, mother.id)
    assert (row.execution_depth, row.parent_node_id, row.child_ordinal) == (1, "emit", 1)
    assert (row.owner_id, row.priority, row.nodes_total) == ("local", 7, 3)
    assert (row.options, row.integration, row.inputs) == (OPTIONS, {"key": "value"}, None)
    assert row.external_events == json.loads(EVENTS)
    assert (row.status, row.child_state) == ("created", "open")
    assert row.start_requested_at == row.runnable_at == row.created_at
    assert row.created_at > world.row("EXchild0").created_at
    assert row.updated_at == mother.updated_at
    assert world.events("EXchild1") == [(-1, "execution:created", '{"flowId":"V2flow"}')]
    assert (mother.children, mother.child_state) == (2, None)
    [saved] = world.rows("chaingraph_checkpoints", execution_id=mother.id)
    assert saved.node_id == "emit"


def test_a_claim_says_how_deep_an_execution_is_and_how_many_children_it_made(
    store: RunStore, world: World, parent: Claimed
) -> None:
    world.take_over(parent.fence.execution_id)

    again, below = claim(store, parent.fence.execution_id), claim(store, "EXchild0", "w2")
    assert (again.depth, again.children) == (0, 2)
    assert (below.depth, below.children) == (1, 0)
    assert below.parent_execution_id == parent.fence.execution_id


@pytest.mark.parametrize("make", [birth, note])
def test_a_zombie_makes_no_child_and_notes_none(
    store: RunStore, world: World, parent: Claimed, make: Callable[..., Any]
) -> None:
    finish(world, 0)
    world.take_over(parent.fence.execution_id)

    what = make(5) if make is birth else make(0)
    assert store.write(parent.fence, parent.writes + 2, what) == Void()
    assert world.rows("chaingraph_executions", id="EXchild5") == []
    assert state(world, 0) == "untold"


def test_a_command_that_the_run_does_not_know_keeps_a_child_from_being_made(
    store: RunStore, world: World, parent: Claimed
) -> None:
    world.request(parent.fence.execution_id, "pause")

    outcome = store.write(parent.fence, parent.writes + 2, birth(5))
    assert isinstance(outcome, Recalled)
    assert world.rows("chaingraph_executions", id="EXchild5") == []

    known = birth(5, known="pause", pausing=Pausing())
    assert isinstance(store.write(parent.fence, parent.writes + 2, known), Written)
    assert world.row(parent.fence.execution_id).status == "paused"
    assert state(world, 5) == "open"


def test_a_write_whose_reply_was_lost_makes_its_children_once(
    store: RunStore, world: World, parent: Claimed
) -> None:
    what = birth(5)
    assert isinstance(store.settle_unknown(parent.fence, parent.writes + 2, what), Written)
    assert isinstance(store.settle_unknown(parent.fence, parent.writes + 2, what), Written)

    assert world.row(parent.fence.execution_id).children == 3


def test_nothing_asks_for_the_same_child_twice(
    store: RunStore, world: World, parent: Claimed
) -> None:
    twice = boundary("child:spawned", family=Family([child(9, ordinal=1)]))
    with pytest.raises((UniqueViolation, LineUniqueViolation)):
        store.write(parent.fence, parent.writes + 2, twice)
    assert world.rows("chaingraph_executions", id="EXchild9") == []


@pytest.mark.parametrize(
    ("ending", "status"),
    [(None, "completed"), (Ending("failed", "boom"), "failed")],
)
def test_a_child_that_ends_is_untold_until_its_parent_notes_it(
    store: RunStore, world: World, parent: Claimed, ending: Ending | None, status: str
) -> None:
    finish(world, 1, ending)

    assert state(world, 1) == "untold"
    ended, still = store.children(parent.fence.execution_id)
    assert (ended.id, ended.status, ended.node_id, ended.ordinal) == (
        "EXchild1",
        status,
        "emit",
        1,
    )
    assert ended.error_message == (ending and "boom")
    assert ended.event_name == "order"
    assert (still.id, still.status) == ("EXchild0", "created")

    write(store, parent, 2, note(1))
    assert state(world, 1) == "told"
    assert [each.id for each in store.children(parent.fence.execution_id)] == ["EXchild0"]


@pytest.mark.parametrize("name", ["\x00" * LONGEST_NAME, 'the "order"\\', "é€😀"])
def test_a_childs_event_is_named_whatever_its_payload_holds(
    store: RunStore, world: World, parent: Claimed, name: str
) -> None:
    event = {"eventName": name, "payload": {"text": "\x00" + "x" * 5000}}
    events = to_json([event]).decode()
    born = [child(5, external_events=events), child(6, external_events=None)]
    write(store, parent, 2, boundary("child:spawned", family=Family(born)))

    names = {each.id: each.event_name for each in store.children(parent.fence.execution_id)}
    assert (names["EXchild5"], names["EXchild6"]) == (name, None)


def test_a_parent_notes_its_last_child_and_ends_at_once(
    store: RunStore, world: World, parent: Claimed
) -> None:
    finish(world, 0)
    finish(world, 1)
    last = note(0, 1, ending=Ending("completed"))
    write(store, parent, 2, last)

    row = world.row(parent.fence.execution_id)
    assert (row.status, row.completed_at) == ("completed", row.updated_at)
    lease = world.claim_of(parent.fence.execution_id)
    assert lease is not None
    assert lease.status == "released"
    assert [state(world, number) for number in (0, 1)] == ["told", "told"]


def test_whoever_parks_looks_again_if_a_child_ended_meanwhile(
    store: RunStore, world: World, parent: Claimed
) -> None:
    execution = parent.fence.execution_id
    finish(world, 0)
    assert world.open().wake(execution) == "w1"

    woken = store.park(parent.fence, parent.writes + 2, parent.wake, WAITING, None)
    assert isinstance(woken, Woken)
    assert store.park(parent.fence, parent.writes + 2, woken.wake, WAITING, None) == Parked()

    assert world.open().wake(execution) is None
    assert world.row(execution).runnable_at is not None


def test_the_sweep_wakes_a_parent_that_sleeps_although_a_child_has_ended(
    store: RunStore, world: World, parent: Claimed
) -> None:
    execution, sweep = parent.fence.execution_id, world.sweeps("w9")
    store.park(parent.fence, parent.writes + 2, parent.wake, WAITING, None)
    assert sweep.tell_untold(10) == []

    finish(world, 0)
    assert sweep.tell_untold(10) == [execution]
    assert world.row(execution).runnable_at is not None
    assert sweep.tell_untold(10) == []


def test_a_paused_parent_is_left_alone_and_finds_its_child_later(
    store: RunStore, world: World, parent: Claimed
) -> None:
    execution = parent.fence.execution_id
    store.park(parent.fence, parent.writes + 2, parent.wake, WAITING, None)
    world.commands().pause(execution, "why")
    finish(world, 0)

    assert world.sweeps("w9").tell_untold(10) == []
    assert world.open().wake(execution) is None
    assert world.row(execution).runnable_at is None


def test_a_parent_that_fails_stops_what_descends_from_it(
    store: RunStore, world: World, parent: Claimed
) -> None:
    finish(world, 1)
    below = claim(world.open(), "EXchild0", "w2")
    write(world.open(), below, 0, birth(7))
    failing = boundary("execution:failed", ending=Ending("failed", "boom", "a", "parent failed"))

    written = write(store, parent, 2, failing)

    stopped = {each.execution_id: each for each in written.stopped}
    assert stopped.keys() == {"EXchild0", "EXchild7"}
    assert list(stopped["EXchild0"].owners) == ["w2"]
    for id_ in stopped:
        row = world.row(id_)
        assert (row.status, row.error_message) == ("stopped", "parent failed")
        assert world.events(id_)[-1][1] == "execution:stopped"
        assert row.child_state == "told"
    row = world.row(parent.fence.execution_id)
    assert (row.status, row.error_message, row.error_node_id) == ("failed", "boom", "a")
    # It was over before, and nobody is left to be told.
    assert (world.row("EXchild1").status, state(world, 1)) == ("completed", "told")


def test_children_made_by_the_statement_that_fails_their_parent_are_stopped(
    store: RunStore, world: World, parent: Claimed
) -> None:
    ending = Ending("failed", "boom", None, "parent failed")
    write(store, parent, 2, birth(5, ending=ending))

    assert (world.row("EXchild5").status, state(world, 5)) == ("stopped", "told")


def test_a_zombie_that_fails_stops_nothing(store: RunStore, world: World, parent: Claimed) -> None:
    world.take_over(parent.fence.execution_id)
    ending = Ending("failed", "boom", None, "parent failed")

    assert store.write(parent.fence, parent.writes + 2, boundary("x", ending=ending)) == Void()
    assert world.row("EXchild0").status == "created"


def test_a_parent_that_crashed_too_often_takes_its_children_with_it(
    store: RunStore, world: World, parent: Claimed
) -> None:
    store.abandon(parent.fence, "w1", 1)

    assert world.row(parent.fence.execution_id).status == "failed"
    assert [world.row(f"EXchild{n}").status for n in (0, 1)] == ["stopped", "stopped"]


def test_a_stop_of_a_child_leaves_it_untold_and_its_parent_running(
    world: World, parent: Claimed
) -> None:
    [effect] = world.commands().stop("EXchild0", "enough")

    assert effect.execution_id == "EXchild0"
    assert state(world, 0) == "untold"
    assert world.commands().wake(parent.fence.execution_id) == "w1"
    assert world.row(parent.fence.execution_id).status == "running"


def test_a_stop_of_the_parent_leaves_nobody_to_tell(world: World, parent: Claimed) -> None:
    finish(world, 0)

    stopped = world.commands().stop(parent.fence.execution_id, "enough")

    assert [each.execution_id for each in stopped] == [parent.fence.execution_id, "EXchild1"]
    assert [state(world, number) for number in (0, 1)] == ["told", "told"]
    assert world.row("EXchild0").status == "completed"
