"""The suite that every store passes: steps that are sent to other processes."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest

from app.store.overdue import OverdueStore
from app.store.protocol import RunStore
from app.store.records import Claimed, ClaimedStep, Fence, Overdue, SentStep
from app.store.step_statements import EPOCHS_PER_ATTEMPT
from app.store.sweeps import Fired, LostClaim, PgSweepStore
from tests.integration.store.boundaries import DONE, LEASE_MS, boundary, claim, write
from tests.world import World

CLAIMS = "chaingraph_execution_claims"
MOST = 5


@pytest.fixture
def claimed(store: RunStore, world: World) -> Claimed:
    """An execution that has begun and parked nothing yet."""
    claimed = claim(store, world.create(inputs='{"a":1}'))
    write(store, claimed, 0, boundary("flow:started"))
    return claimed


@pytest.fixture
def sweeps(world: World) -> PgSweepStore:
    return world.sweeps("sweeper")


def sent(store: RunStore, claimed: Claimed, **attempts: int) -> str:
    """Post steps; gives their execution."""
    assert store.post_steps(claimed.fence, attempts or {"a": 1})
    return claimed.fence.execution_id


def take(store: RunStore, execution: str, node: str = "a", worker: str = "w2") -> ClaimedStep:
    step = store.claim_step(execution, node, worker, LEASE_MS)
    assert step is not None
    return step


def lost(step: ClaimedStep) -> LostClaim:
    return LostClaim(step.fence.execution_id, step.fence.epoch, "w2", step.fence.node_id)


def test_a_sent_step_is_taken_by_one(store: RunStore, world: World, claimed: Claimed) -> None:
    execution = sent(store, claimed, a=3)

    step = take(store, execution)

    assert step.fence == Fence(execution, 3 * EPOCHS_PER_ATTEMPT + 1, "a")
    assert (step.attempt, step.flow_id, step.inputs) == (3, "V2flow", '{"a":1}')
    assert store.claim_step(execution, "a", "w3", LEASE_MS) is None
    [row] = world.rows(CLAIMS, execution_id=execution, node_id="a")
    assert (row.worker_id, row.status, row.attempt) == ("w2", "active", 3)
    assert row.expires_at > world.now()
    assert store.holds(claimed.fence)


def test_of_many_at_once_one_takes_a_step(store: RunStore, world: World, claimed: Claimed) -> None:
    execution = sent(store, claimed)
    taken: list[ClaimedStep] = []

    def attempt(number: int) -> None:
        if step := world.open().claim_step(execution, "a", f"w{number}", LEASE_MS):
            taken.append(step)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(taken) == 1


def test_what_was_not_sent_is_not_taken(store: RunStore, claimed: Claimed) -> None:
    execution = sent(store, claimed)

    assert store.claim_step(execution, "b", "w2", LEASE_MS) is None
    assert store.claim_step(execution, "", "w2", LEASE_MS) is None
    assert store.claim_step("EXunknown", "a", "w2", LEASE_MS) is None


def test_only_the_owner_sends_steps(store: RunStore, world: World, claimed: Claimed) -> None:
    world.take_over(claimed.fence.execution_id)

    assert not store.post_steps(claimed.fence, {"a": 1})
    assert store.sent_steps(claimed.fence.execution_id) == []


def test_no_step_is_taken_once_all_is_over(store: RunStore, claimed: Claimed) -> None:
    execution = sent(store, claimed)
    write(store, claimed, 1, DONE)

    assert store.claim_step(execution, "a", "w2", LEASE_MS) is None


def test_a_result_is_handed_in_once_and_by_its_owner(store: RunStore, claimed: Claimed) -> None:
    execution = sent(store, claimed)
    step = take(store, execution)
    stale = Fence(execution, step.fence.epoch - 1, "a")

    assert not store.hand_in(stale, '{"stale":1}')
    assert store.hand_in(step.fence, '{"outputs":{}}')
    assert not store.hand_in(step.fence, '{"again":1}')

    assert store.sent_steps(execution) == [SentStep("a", 1, "released", '{"outputs":{}}')]
    assert store.claim_step(execution, "a", "w3", LEASE_MS) is None


def test_a_step_that_is_sent_again_is_of_no_use_to_its_last_owner(
    store: RunStore, claimed: Claimed
) -> None:
    execution = sent(store, claimed)
    step = take(store, execution)

    sent(store, claimed, a=2)

    assert not store.hand_in(step.fence, "{}")
    assert take(store, execution, worker="w3").attempt == 2


def test_the_owner_of_a_dropped_attempt_is_not_taken_for_that_of_the_next(
    store: RunStore, sweeps: PgSweepStore, claimed: Claimed
) -> None:
    execution = sent(store, claimed)
    zombie = take(store, execution)
    assert sweeps.recover_step(lost(zombie), "expired_claim", MOST) is True
    store.drop_steps(claimed.fence, ["a"])
    sent(store, claimed, a=2)
    step = take(store, execution)

    assert not store.hand_in(zombie.fence, "{}")
    assert not store.holds(zombie.fence)
    assert store.hand_in(step.fence, "{}")


def test_a_step_that_did_not_begin_is_released(store: RunStore, claimed: Claimed) -> None:
    execution = sent(store, claimed)
    step = take(store, execution)

    store.release(step.fence)

    assert not store.hand_in(step.fence, "{}")
    assert take(store, execution, worker="w3").fence.epoch == step.fence.epoch + 1


def test_steps_are_dropped_by_the_owner_of_their_execution(
    store: RunStore, claimed: Claimed
) -> None:
    execution = sent(store, claimed, a=1, b=1, c=1)
    take(store, execution, "c")

    store.drop_steps(Fence(execution, 99), ["a"])
    assert len(store.sent_steps(execution)) == 3
    store.drop_steps(claimed.fence, ["a", "c", ""])

    left = {step.node_id: step.status for step in store.sent_steps(execution)}
    assert left == {"b": "released", "c": "active"}
    assert store.holds(claimed.fence)


# -- arrivals


def test_an_arrival_makes_what_is_parked_runnable(
    store: RunStore, world: World, claimed: Claimed
) -> None:
    execution = claimed.fence.execution_id
    assert store.wake(execution) == "w1"
    assert (world.row(execution).wake, world.row(execution).runnable_at) == (1, None)
    store.park(claimed.fence, claimed.writes + 1, 1, "{}", None)

    assert store.wake(execution) is None

    row = world.row(execution)
    assert row.wake == 2
    assert row.runnable_at is not None
    store.wake(execution)
    assert world.row(execution).runnable_at == row.runnable_at


def test_what_has_not_begun_or_is_over_is_not_woken(
    store: RunStore, world: World, claimed: Claimed
) -> None:
    fresh = world.create(start=False)
    write(store, claimed, 1, DONE)

    for execution in (fresh, claimed.fence.execution_id, "EXunknown"):
        store.wake(execution)

    assert world.row(fresh).wake == 0
    assert world.row(claimed.fence.execution_id).wake == 0


# -- losses


def test_a_lost_step_is_told_to_its_execution(
    store: RunStore, world: World, sweeps: PgSweepStore, claimed: Claimed
) -> None:
    execution = sent(store, claimed)
    step = take(store, execution)
    store.park(claimed.fence, claimed.writes + 1, 0, "{}", None)

    assert sweeps.recover_step(lost(step), "worker_died", MOST) is True
    assert sweeps.recover_step(lost(step), "worker_died", MOST) is False

    [found] = store.sent_steps(execution)
    assert (found.status, found.attempt) == ("expired", 1)
    assert json.loads(found.result or "") == {
        "reason": "worker_died",
        "previousWorkerId": "w2",
        "workerId": "sweeper",
    }
    row = world.row(execution)
    assert (row.failure_count, row.crashes, row.last_failure_reason) == (1, 1, "worker_died")
    assert row.runnable_at is not None
    [audit] = world.recoveries(execution)
    assert (audit.previous_worker_id, audit.recovery_reason) == ("w2", "worker_died")
    assert not store.hand_in(step.fence, "{}")


def test_a_step_that_crashes_too_often_fails_its_execution(
    store: RunStore, world: World, sweeps: PgSweepStore, claimed: Claimed
) -> None:
    execution = sent(store, claimed)
    for attempt in range(1, MOST):
        step = take(store, execution)
        assert sweeps.recover_step(lost(step), "worker_died", MOST) is True
        sent(store, claimed, a=attempt + 1)
    step = take(store, execution)

    recovered = sweeps.recover_step(lost(step), "worker_died", MOST)

    assert not isinstance(recovered, bool)
    assert recovered.ended
    assert world.row(execution).status == "failed"
    assert store.sent_steps(execution) == []


def test_a_loss_that_was_counted_fails_nothing_a_second_time(
    store: RunStore, world: World, sweeps: PgSweepStore, claimed: Claimed
) -> None:
    execution = sent(store, claimed)
    step = take(store, execution)
    assert sweeps.recover_step(lost(step), "worker_died", 2) is True

    # Whoever has an older list of what is lost comes with the same claim again.
    assert sweeps.recover_step(lost(step), "worker_died", 2) is False

    row = world.row(execution)
    assert (row.status, row.crashes, len(world.recoveries(execution))) == ("running", 1, 1)


def test_a_parked_execution_whose_step_crashes_too_often_waits_for_nothing(
    store: RunStore, world: World, sweeps: PgSweepStore, claimed: Claimed
) -> None:
    execution = sent(store, claimed)
    step = take(store, execution)
    overdue = world.now() - timedelta(seconds=1)
    store.park(claimed.fence, claimed.writes + 1, 0, '{"for":"node"}', overdue)

    assert sweeps.recover_step(lost(step), "worker_died", 1)

    row = world.row(execution)
    assert (row.status, row.wake_at, row.waiting) == ("failed", None, None)
    assert sweeps.fire_timers(10, 1000) == Fired([], False, None)


def test_a_step_of_what_is_over_is_lost_without_a_trace(
    store: RunStore, world: World, sweeps: PgSweepStore, claimed: Claimed
) -> None:
    execution = sent(store, claimed)
    step = take(store, execution)
    write(store, claimed, 1, DONE)

    assert sweeps.recover_step(lost(step), "worker_died", MOST) is False
    assert world.recoveries(execution) == []


def test_a_step_that_lies_is_sent_again_after_a_while(
    store: RunStore, world: World, sweeps: PgSweepStore, claimed: Claimed
) -> None:
    execution = sent(store, claimed, a=1, b=1)
    take(store, execution, "b")
    assert sweeps.resend_steps(60_000, "default", 10) == []
    world.change(CLAIMS, {"node_id": "a"}, claimed_at=world.now() - timedelta(seconds=61))

    assert sweeps.resend_steps(60_000, "gpu", 10) == []
    assert sweeps.resend_steps(60_000, "default", 10) == [(execution, "a")]
    assert sweeps.resend_steps(60_000, "default", 10) == []


def test_steps_lie_in_their_queues(
    store: RunStore, world: World, sweeps: PgSweepStore, claimed: Claimed
) -> None:
    execution = claimed.fence.execution_id
    assert store.post_steps(claimed.fence, {"a": 1, "b": 1, "c": 1}, {"b": "gpu", "c": "cpu"})
    assert sweeps.lying_queues(60_000) == []
    world.change(CLAIMS, {"execution_id": execution}, claimed_at=world.now() - timedelta(hours=1))
    take(store, execution, "c")

    assert sorted(sweeps.lying_queues(60_000)) == ["default", "gpu"]
    assert sweeps.resend_steps(60_000, "gpu", 10) == [(execution, "b")]
    assert sweeps.lying_queues(60_000) == ["default"]


def test_a_step_of_a_later_attempt_has_the_queue_that_it_is_sent_to(
    store: RunStore, world: World, claimed: Claimed
) -> None:
    execution = sent(store, claimed, a=1)
    assert store.post_steps(claimed.fence, {"a": 2}, {"a": "gpu"})

    [row] = world.rows(CLAIMS, execution_id=execution, node_id="a")
    assert (row.attempt, row.queue) == (2, "gpu")


def test_an_execution_that_was_not_told_of_a_steps_end_is_told(
    store: RunStore, world: World, sweeps: PgSweepStore, claimed: Claimed
) -> None:
    execution = sent(store, claimed)
    write(store, claimed, 1, boundary("node:started", grants='{"a":1}'))
    step = take(store, execution)
    store.park(claimed.fence, claimed.writes + 2, 0, "{}", None)
    assert sweeps.tell_untold(10) == []
    store.hand_in(step.fence, "{}")

    assert sweeps.tell_untold(10) == [execution]
    assert sweeps.tell_untold(10) == []
    assert world.row(execution).wake == 1
    assert claim(store, execution).begun


def test_an_execution_that_was_told_of_a_steps_end_is_not_told_of_the_row_that_is_left(
    store: RunStore, sweeps: PgSweepStore, claimed: Claimed
) -> None:
    """Its owner died between the step's checkpoint, which takes the grant, and dropping the row."""
    execution = sent(store, claimed, a=1, b=1)
    write(store, claimed, 1, boundary("node:started", grants='{"a":1,"b":1}'))
    store.hand_in(take(store, execution).fence, "{}")
    write(store, claimed, 2, boundary("node:completed", grants='{"b":1}'))
    store.park(claimed.fence, claimed.writes + 3, 0, "{}", None)

    assert sweeps.tell_untold(10) == []

    store.hand_in(take(store, execution, "b").fence, "{}")
    assert sweeps.tell_untold(10) == [execution]


# -- nodes whose process can't give them up


def test_a_timeout_is_handed_in_for_a_node_that_its_owner_runs_in_place(
    store: RunStore, world: World, claimed: Claimed
) -> None:
    execution = claimed.fence.execution_id
    write(store, claimed, 1, boundary("node:started", grants='{"a": 2}'))

    owner = OverdueStore(world.database).time_out(Overdue(execution, "a", 2, 0, "w1", '{"x":1}'))

    assert owner is None
    row = world.row(execution)
    assert (row.processing_worker_id, row.failure_count, row.crashes) == (None, 0, 0)
    assert row.runnable_at is not None
    lease = world.claim_of(execution)
    assert lease is not None
    assert (lease.status, lease.expires_at) == ("released", None)
    assert not store.holds(claimed.fence)
    assert world.recoveries(execution) == []
    [step] = store.sent_steps(execution)
    assert (step.node_id, step.attempt, step.status) == ("a", 2, "released")
    assert json.loads(step.result or "") == {"x": 1}
    assert store.claim_step(execution, "a", "w3", LEASE_MS) is None


@pytest.mark.parametrize(("attempt", "worker"), [(1, "w1"), (3, "w1"), (2, "w2")])
def test_no_timeout_is_handed_in_for_another_attempt_or_process(
    store: RunStore, world: World, claimed: Claimed, attempt: int, worker: str
) -> None:
    execution = claimed.fence.execution_id
    write(store, claimed, 1, boundary("node:started", grants='{"a": 2}'))

    OverdueStore(world.database).time_out(Overdue(execution, "a", attempt, 0, worker, "{}"))

    assert store.holds(claimed.fence)
    assert store.sent_steps(execution) == []


def test_no_timeout_is_handed_in_where_nobody_runs_the_node(
    store: RunStore, world: World, claimed: Claimed
) -> None:
    execution = claimed.fence.execution_id
    write(store, claimed, 1, boundary("node:started", grants='{"a": 2}'))
    store.release(claimed.fence)
    epoch = world.row(execution).epoch

    OverdueStore(world.database).time_out(Overdue(execution, "a", 2, 0, "w1", "{}"))

    assert world.row(execution).epoch == epoch
    assert store.sent_steps(execution) == []


def test_a_timeout_is_handed_in_for_a_sent_step(
    store: RunStore, world: World, claimed: Claimed
) -> None:
    execution = sent(store, claimed)
    step = take(store, execution)

    owner = OverdueStore(world.database).time_out(
        Overdue(execution, "a", 1, step.fence.epoch, "w2", '{"x":1}')
    )

    assert owner == "w1"
    assert store.holds(claimed.fence)
    assert not store.holds(step.fence)
    assert [json.loads(each.result or "") for each in store.sent_steps(execution)] == [{"x": 1}]
