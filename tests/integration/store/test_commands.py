"""The suite that every command store passes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.store.protocol import CommandStore, RunStore
from app.store.records import Claimed, Effect, Parked, Pausing, Void, Written
from tests.integration.store.boundaries import DONE, LEASE_MS, boundary, claim, write
from tests.world import World

#: Callers at once.
MANY = 20
#: How often a stop, and a pause, race a completion.
STOP_RACES, PAUSE_RACES = 1000, 200


@pytest.fixture
def commands(world: World) -> CommandStore:
    return world.commands()


@pytest.fixture
def claimed(store: RunStore, world: World) -> Claimed:
    """A running execution, its `writes` as they are now."""
    claimed = claim(store, world.create())
    write(store, claimed, 0, boundary("flow:started"))
    return claimed


@pytest.fixture
def parked(store: RunStore, claimed: Claimed) -> str:
    """A running execution that waits for a retry."""
    wake_at = store.now()
    outcome = store.park(
        claimed.fence, claimed.writes + 1, claimed.wake, '{"for":"retry"}', wake_at
    )
    assert outcome == Parked()
    return claimed.fence.execution_id


@pytest.fixture
def paused(commands: CommandStore, parked: str) -> str:
    commands.pause(parked, "why")
    return parked


@pytest.fixture
def at_once() -> Iterator[Callable[[Callable[[], Any]], list[Any]]]:
    """Have many callers do a thing at the same time; gives what each got."""
    with ThreadPoolExecutor(MANY) as pool:
        together = threading.Barrier(MANY)

        def run(call: Callable[[], Any]) -> list[Any]:
            def one() -> Any:
                together.wait()
                return call()

            return [each.result() for each in [pool.submit(one) for _ in range(MANY)]]

        yield run


def types(effect: Effect | None) -> list[tuple[str, Any]]:
    assert effect is not None
    assert effect.told is not None
    return [(type_, json.loads(data)) for type_, data in effect.told.events]


def told(world: World, execution: str) -> list[str]:
    """The types of its events, their indexes checked for gaps."""
    events = world.events(execution)
    assert [index for index, _, _ in events] == list(range(-1, len(events) - 1))
    return [type_ for _, type_, _ in events]


# -- pause


def test_a_pause_is_requested_of_the_owner(
    commands: CommandStore, store: RunStore, world: World, claimed: Claimed
) -> None:
    execution = claimed.fence.execution_id

    assert commands.pause(execution, "why") == Effect(execution, None, ["w1"])

    row = world.row(execution)
    assert (row.status, row.requested, row.requested_reason) == ("running", "pause", "why")
    # A run that is about to park has to look again.
    assert store.park(claimed.fence, claimed.writes + 1, claimed.wake, "{}", None) != Parked()
    assert told(world, execution) == ["execution:created", "flow:started"]


def test_a_second_pause_changes_nothing(
    commands: CommandStore, world: World, claimed: Claimed
) -> None:
    execution = claimed.fence.execution_id
    commands.pause(execution, "why")
    before = world.row(execution)

    assert commands.pause(execution, "other") == Effect(execution)
    assert world.row(execution) == before


def test_what_nobody_owns_is_paused_at_once(
    commands: CommandStore, world: World, parked: str
) -> None:
    effect = commands.pause(parked, "why")

    assert types(effect) == [("flow:paused", {"reason": "why"})]
    row = world.row(parked)
    assert (row.status, row.requested, row.runnable_at, row.wake_at) == ("paused", None, None, None)
    assert (row.waiting["for"], row.waiting["until"], row.waiting["detail"]) == ("resume", None, {})
    assert effect is not None
    assert effect.told is not None
    assert effect.told.at == row.updated_at
    assert world.events(parked)[-1][:2] == (effect.told.first_index, "flow:paused")


def test_what_waits_for_a_worker_is_paused_at_once_and_not_claimed(
    commands: CommandStore, store: RunStore, world: World, claimed: Claimed
) -> None:
    execution = claimed.fence.execution_id
    world.take_over(execution)

    assert types(commands.pause(execution, "why"))[0][0] == "flow:paused"

    assert store.claim("w2", "t", LEASE_MS, execution) is None
    assert store.write(claimed.fence, claimed.writes + 1, boundary("node:started")) == Void()


def test_a_pause_waits_for_sent_steps(
    commands: CommandStore, store: RunStore, world: World, claimed: Claimed
) -> None:
    execution = claimed.fence.execution_id
    write(store, claimed, 1, boundary("node:started", grants='{"a":1}'))
    assert store.post_steps(claimed.fence, {"a": 1})
    store.park(claimed.fence, claimed.writes + 2, claimed.wake, '{"for":"worker"}', None)

    assert commands.pause(execution, "why") == Effect(execution, None, [])

    assert (world.row(execution).status, world.row(execution).requested) == ("running", "pause")


def test_what_is_left_of_a_sent_step_holds_no_pause_up(
    commands: CommandStore, store: RunStore, world: World, claimed: Claimed
) -> None:
    store.post_steps(claimed.fence, {"a": 1})
    store.park(claimed.fence, claimed.writes + 1, claimed.wake, '{"for":"retry"}', None)

    assert types(commands.pause(claimed.fence.execution_id, "why"))[0][0] == "flow:paused"


@pytest.mark.parametrize("start", [True, False])
def test_what_has_not_begun_is_not_paused(
    commands: CommandStore, world: World, start: bool
) -> None:
    execution = world.create(start=start)
    before = world.row(execution)

    assert commands.pause(execution, "why") is None
    assert commands.resume(execution) is None
    assert commands.step(execution, 0) is None
    assert world.row(execution) == before


def test_what_is_final_or_unknown_takes_no_command(
    commands: CommandStore, store: RunStore, world: World, claimed: Claimed
) -> None:
    execution = claimed.fence.execution_id
    write(store, claimed, 1, DONE)
    before = world.row(execution)

    for each in (execution, "EXunknown"):
        assert commands.pause(each, "why") is None
        assert commands.resume(each) is None
        assert commands.step(each, 2) is None
        assert not commands.stop(each, "why")
    assert world.row(execution) == before


# -- resume


def test_a_paused_execution_goes_on(
    commands: CommandStore, store: RunStore, world: World, paused: str
) -> None:
    assert types(commands.resume(paused)) == [("flow:resumed", {})]

    row = world.row(paused)
    assert (row.status, row.waiting, row.requested) == ("running", None, None)
    assert claim(store, paused).requested is None
    assert told(world, paused)[-2:] == ["flow:paused", "flow:resumed"]


def test_a_pause_that_is_not_effective_yet_is_withdrawn(
    commands: CommandStore, store: RunStore, world: World, claimed: Claimed
) -> None:
    execution = claimed.fence.execution_id
    commands.pause(execution, "why")

    assert commands.resume(execution) == Effect(execution, None, ["w1"])

    row = world.row(execution)
    assert (row.requested, row.requested_reason, row.runnable_at) == (None, None, None)
    write(store, claimed, 1, boundary("node:started"))
    assert told(world, execution)[-1] == "node:started"


def test_what_is_withdrawn_while_nobody_owns_is_looked_at_again(
    commands: CommandStore, store: RunStore, world: World, claimed: Claimed
) -> None:
    execution = claimed.fence.execution_id
    write(store, claimed, 1, boundary("node:started", grants='{"a":1}'))
    store.post_steps(claimed.fence, {"a": 1})
    store.park(claimed.fence, claimed.writes + 2, claimed.wake, '{"for":"worker"}', None)
    commands.pause(execution, "why")

    assert commands.resume(execution) == Effect(execution, None, [])
    assert claim(store, execution).requested is None


def test_what_runs_is_not_resumed(commands: CommandStore, world: World, claimed: Claimed) -> None:
    before = world.row(claimed.fence.execution_id)

    assert commands.resume(claimed.fence.execution_id) is None
    assert world.row(claimed.fence.execution_id) == before


# -- step


def test_a_step_is_requested_of_whoever_claims(
    commands: CommandStore, store: RunStore, world: World, paused: str
) -> None:
    effect = commands.step(paused, world.row(paused).writes)

    assert types(effect) == [("flow:resumed", {})]
    row = world.row(paused)
    assert (row.status, row.requested, row.waiting) == ("running", "step", None)
    assert claim(store, paused).requested == "step"
    # It pauses by itself.
    assert commands.pause(paused, "why") == Effect(paused)
    assert commands.resume(paused) is None


def test_a_step_is_void_when_something_was_written_since(
    commands: CommandStore, world: World, paused: str
) -> None:
    assert commands.step(paused, world.row(paused).writes - 1) is None
    assert world.row(paused).status == "paused"


# -- stop


@pytest.mark.parametrize("start", [True, False])
def test_what_never_ran_is_stopped(commands: CommandStore, world: World, start: bool) -> None:
    execution = world.create(start=start)

    [effect] = commands.stop(execution, "why")

    reason = {"executionTimeMs": 0, "reason": "why"}
    assert types(effect) == [("flow:cancelled", reason), ("execution:stopped", reason)]
    assert effect.owners == ()
    row = world.row(execution)
    assert (row.status, row.error_message, row.runnable_at) == ("stopped", "why", None)
    assert effect.told is not None
    assert row.completed_at == effect.told.at
    assert told(world, execution)[-2:] == ["flow:cancelled", "execution:stopped"]


def test_a_stop_takes_the_execution_from_its_owner(
    commands: CommandStore, store: RunStore, world: World, claimed: Claimed
) -> None:
    execution = claimed.fence.execution_id
    commands.pause(execution, "first")

    [effect] = commands.stop(execution, "why")

    assert effect.owners == ["w1"]
    assert store.requested(claimed.fence) == Void()
    assert not store.holds(claimed.fence)
    assert store.write(claimed.fence, claimed.writes + 1, DONE) == Void()
    assert store.park(claimed.fence, claimed.writes + 1, claimed.wake + 1, "{}", None) == Void()
    lease = world.claim_of(execution)
    assert lease is not None
    assert (lease.status, lease.expires_at) == ("released", None)
    assert (world.row(execution).requested, world.row(execution).requested_reason) == (None, None)


def test_a_stop_voids_sent_steps(
    commands: CommandStore, store: RunStore, world: World, claimed: Claimed
) -> None:
    execution = claimed.fence.execution_id
    store.post_steps(claimed.fence, {"a": 1, "b": 1})
    step = store.claim_step(execution, "a", "w2", LEASE_MS)
    assert step is not None
    assert store.holds(step.fence)

    [effect] = commands.stop(execution, "why")

    assert sorted(effect.owners) == ["w1", "w2"]
    assert not store.holds(step.fence)
    assert not store.hand_in(step.fence, "{}")
    assert store.claim_step(execution, "b", "w2", LEASE_MS) is None
    assert store.sent_steps(execution) == []


def test_a_paused_execution_is_stopped(commands: CommandStore, world: World, paused: str) -> None:
    [effect] = commands.stop(paused, "why")

    assert effect.owners == ()
    assert (world.row(paused).status, world.row(paused).waiting) == ("stopped", None)


def test_a_stop_goes_down_to_every_descendant(
    commands: CommandStore, store: RunStore, world: World, claimed: Claimed
) -> None:
    root = claimed.fence.execution_id
    children = [world.create(start=False) for _ in range(3)]
    grandchild, beside = world.create(), world.create()
    for child in children:
        world.adopt(child, root)
    world.adopt(grandchild, children[1])
    done = claim(store, grandchild)
    finished = world.create()
    world.adopt(finished, root)
    write(store, claim(store, finished), 0, DONE)

    stopped = commands.stop(root, "why")

    assert [each.execution_id for each in stopped] == [root, *children, grandchild]
    for each in (root, *children, grandchild):
        assert (world.row(each).status, world.row(each).error_message) == ("stopped", "why")
        assert told(world, each)[-1] == "execution:stopped"
    assert store.write(done.fence, done.writes, DONE) == Void()
    assert (world.row(finished).status, world.row(beside).status) == ("completed", "created")


def test_a_stop_of_a_child_leaves_its_parent_alone(
    commands: CommandStore, world: World, claimed: Claimed
) -> None:
    child = world.create()
    world.adopt(child, claimed.fence.execution_id)

    assert [each.execution_id for each in commands.stop(child, "why")] == [child]
    assert world.row(claimed.fence.execution_id).status == "running"


# -- at the same time


def test_of_many_pauses_one_is_requested(
    commands: CommandStore, world: World, claimed: Claimed, at_once: Any
) -> None:
    execution = claimed.fence.execution_id

    effects = at_once(lambda: commands.pause(execution, "why"))

    assert sorted(len(effect.owners) for effect in effects) == [0] * (MANY - 1) + [1]
    assert world.row(execution).requested == "pause"


def test_of_many_resumes_one_succeeds(
    commands: CommandStore, world: World, paused: str, at_once: Any
) -> None:
    effects = at_once(lambda: commands.resume(paused))

    assert len([effect for effect in effects if effect]) == 1
    assert told(world, paused).count("flow:resumed") == 1


def test_of_many_steps_one_succeeds(
    commands: CommandStore, world: World, paused: str, at_once: Any
) -> None:
    writes = world.row(paused).writes

    effects = at_once(lambda: commands.step(paused, writes))

    assert len([effect for effect in effects if effect]) == 1
    assert told(world, paused).count("flow:resumed") == 1


def test_of_many_stops_one_succeeds(
    commands: CommandStore, world: World, claimed: Claimed, at_once: Any
) -> None:
    execution = claimed.fence.execution_id

    effects = at_once(lambda: commands.stop(execution, "why"))

    assert len([effect for effect in effects if effect]) == 1
    assert told(world, execution).count("execution:stopped") == 1


def test_a_stop_and_an_end_at_the_same_time_are_never_both(
    commands: CommandStore, store: RunStore, world: World
) -> None:
    together = threading.Barrier(2)

    def stop(execution: str) -> bool:
        together.wait()
        return bool(commands.stop(execution, "why"))

    with ThreadPoolExecutor(1) as pool:
        for _ in range(STOP_RACES):
            claimed = claim(store, world.create())
            stopping = pool.submit(stop, claimed.fence.execution_id)
            together.wait()
            ended = isinstance(store.write(claimed.fence, claimed.writes, DONE), Written)
            assert ended is not stopping.result()
            status = world.row(claimed.fence.execution_id).status
            assert status == ("completed" if ended else "stopped")
            last = told(world, claimed.fence.execution_id)[2:]
            assert len(last) == 1 or last[-1] == f"execution:{status}"


def test_a_pause_and_an_end_at_the_same_time_leave_no_pause_behind(
    commands: CommandStore, store: RunStore, world: World
) -> None:
    together = threading.Barrier(2)

    def pause(execution: str) -> Effect | None:
        together.wait()
        return commands.pause(execution, "why")

    with ThreadPoolExecutor(1) as pool:
        for _ in range(PAUSE_RACES):
            claimed = claim(store, world.create())
            write(store, claimed, 0, boundary("flow:started"))
            pausing = pool.submit(pause, claimed.fence.execution_id)
            together.wait()
            ended = isinstance(store.write(claimed.fence, claimed.writes + 1, DONE), Written)
            assert (pausing.result() is None) is ended
            row = world.row(claimed.fence.execution_id)
            expected = ("completed", None) if ended else ("running", "pause")
            assert (row.status, row.requested) == expected
            commands.stop(claimed.fence.execution_id, "over")


def test_a_pause_at_the_owner_s_own_pause_is_one(
    commands: CommandStore, store: RunStore, world: World, claimed: Claimed
) -> None:
    """A breakpoint is reached as a pause comes: what was not known recalls it."""
    execution = claimed.fence.execution_id
    hit = boundary("debug:breakpoint-hit", "flow:paused", pausing=Pausing("breakpoint", "b"))
    commands.pause(execution, "why")

    assert store.write(claimed.fence, claimed.writes + 1, hit) != Void()
    assert not isinstance(store.write(claimed.fence, claimed.writes + 1, hit), Written)
    assert world.row(execution).status == "running"
