"""Nodes with a queue of their own: sent where the others run in place."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from app.executions.run import Run, RunEnd
from app.nodes.sdk import NodeContext
from app.store.records import Fence
from app.store.sweeps import LostClaim, PgSweepStore
from tests.integration.executions.losing import Gate
from tests.integration.executions.nodes import effect, node_that
from tests.integration.executions.process import (
    LEASE_MS,
    Driven,
    Process,
    chain,
    checkpoints,
    execution_of,
    flow,
    node,
    told,
)
from tests.integration.executions.sending import Sent
from tests.waiting import wait_until
from tests.world import PgWorld

CLAIMS = "chaingraph_execution_claims"


def test_a_node_with_a_queue_is_sent_there_and_its_execution_parks(
    world: PgWorld, process: Process
) -> None:
    document = chain(
        node("a", "EffectNode"), node("b", "EffectNode", queue="gpu"), node("c", "EffectNode")
    )
    execution = execution_of(world, document)
    sent = Sent(process, (effect,), sends_all=False)

    assert sent.advance(execution) is RunEnd.PARKED

    assert (sent.steps, sent.queues) == ([(execution, "b")], ["gpu"])
    row = world.row(execution)
    assert row.processing_worker_id is None
    assert row.waiting["for"] == "worker"
    assert row.waiting["detail"] == {"nodeId": "b", "queue": "gpu"}
    [claim] = world.rows(CLAIMS, execution_id=execution, node_id="b")
    assert (claim.queue, claim.status, claim.attempt) == ("gpu", "released", 1)
    assert sent.run_step()
    assert sent.advance(execution) is RunEnd.FINISHED
    assert list(checkpoints(world, execution)) == ["a", "b", "c"]
    assert told(world, execution)[2:-2] == [
        f"node:{what} {each}" for each in "abc" for what in ("started", "completed")
    ]


def test_a_type_may_name_the_queue_of_its_nodes(world: PgWorld, process: Process) -> None:
    queued = node_that(lambda _: None, "QueuedNode", queue="gpu")
    document = flow(node("a", "QueuedNode"), node("b", "QueuedNode", queue="default"))
    execution = execution_of(world, document)
    sent = Sent(process, (queued,), sends_all=False)

    assert sent.advance(execution) is RunEnd.PARKED

    assert sent.steps == [(execution, "a")]
    assert list(checkpoints(world, execution)) == ["b"]


def test_where_every_step_is_sent_each_goes_to_its_queue(world: PgWorld, process: Process) -> None:
    document = flow(node("a", "EffectNode"), node("b", "EffectNode", queue="gpu"))
    sent = Sent(process, (effect,))

    assert sent.advance(execution_of(world, document)) is RunEnd.PARKED

    assert [(each, queue) for (_, each), queue in zip(sent.steps, sent.queues, strict=True)] == [
        ("a", "default"),
        ("b", "gpu"),
    ]


def test_several_run_at_once_each_under_a_claim_of_its_own(
    world: PgWorld, process: Process, other: Process
) -> None:
    together = threading.Barrier(2)
    meet = node_that(lambda _: together.wait(60))
    document = flow(node("a", "ProbeNode", queue="gpu"), node("b", "ProbeNode", queue="gpu"))
    execution = execution_of(world, document)
    sent = Sent(process, (meet,), sends_all=False)
    assert sent.advance(execution) is RunEnd.PARKED

    elsewhere = other.executor(other.around(meet))
    thread = threading.Thread(target=lambda: elsewhere.work_step(execution, "b"))
    thread.start()
    assert sent.run_step()
    thread.join()

    claims = world.rows(CLAIMS, execution_id=execution, queue="gpu")
    assert {(claim.node_id, claim.worker_id) for claim in claims} == {("a", "w1"), ("b", "w2")}
    assert sent.advance(execution) is RunEnd.FINISHED


# -- beside what runs in the owner's process

#: One node holds its owner up; another, sent away, is followed by a third.
BESIDE = flow(
    node("held", "ProbeNode"),
    node("sent", "EffectNode", queue="gpu"),
    node("after", "EffectNode"),
    edges=[{"source": "sent.text", "target": "after.text"}],
)


class Busy:
    """An execution whose owner is held up by one node, and whose other node is sent."""

    def __init__(self, world: PgWorld, process: Process, other: Process) -> None:
        self.world = world
        self.gate = Gate()
        self.execution = execution_of(world, BESIDE)
        self.sent: list[Any] = []
        kinds = (effect, node_that(self.gate))
        around = process.around(*kinds, send=self._send)
        self.run: Run = process.claim(around, self.execution)
        self.driven: Driven = process.start(self.run)
        self.elsewhere = other.executor(other.around(*kinds, herald=self))
        self.is_woken = True
        wait_until(lambda: self.gate.reached and self.sent, "both are under way")

    def _send(self, execution_id: str, queues: Any) -> None:
        self.sent.append((execution_id, dict(queues)))

    def wake(self, execution_id: str, owner: str | None) -> None:
        assert (owner, execution_id) == ("w1", self.execution)
        if self.is_woken:
            self.run.alert()

    def renew(self) -> None:
        """Do as the lease keeper of the owner's process does."""
        self.run.confirm(0.0, None, self.world.row(self.execution).wake)

    def await_after(self) -> None:
        """Wait for the node that follows the sent one, while the first is held."""
        wait_until(lambda: "after" in checkpoints(self.world, self.execution), "what follows runs")
        assert self.gate.reached == [1]

    def end(self) -> None:
        self.gate.open()
        assert self.driven.end() is RunEnd.FINISHED
        attempts = {
            each: row.attempt for each, row in checkpoints(self.world, self.execution).items()
        }
        assert attempts["held"] == 1


@pytest.fixture
def busy(world: PgWorld, process: Process, other: Process) -> Busy:
    return Busy(world, process, other)


def test_a_result_is_taken_at_once_while_another_node_runs_on(busy: Busy) -> None:
    assert busy.sent == [(busy.execution, {"sent": "gpu"})]

    assert busy.elsewhere.work_step(busy.execution, "sent")

    busy.await_after()
    busy.end()


def test_a_result_of_which_the_owner_was_not_told_is_found_at_its_next_renewal(busy: Busy) -> None:
    busy.is_woken = False
    assert busy.elsewhere.work_step(busy.execution, "sent")

    busy.renew()

    busy.await_after()
    busy.end()


def test_the_loss_of_a_step_touches_that_step_alone(busy: Busy, other: Process) -> None:
    execution = busy.execution
    step = other.store.claim_step(execution, "sent", "w9", LEASE_MS)
    sweeps = PgSweepStore(busy.world.database, "sweeper")
    lost = LostClaim(execution, step.fence.epoch, "w9", "sent")

    assert sweeps.recover_step(lost, "worker_died", 100) is True

    sweeps.close()
    busy.renew()
    wait_until(lambda: len(busy.sent) == 2, "it is sent again")
    assert busy.elsewhere.work_step(execution, "sent")
    busy.await_after()
    busy.end()
    assert checkpoints(busy.world, execution)["sent"].attempt == 2
    assert not other.store.hand_in(Fence(execution, step.fence.epoch, "sent"), "{}")


def test_a_zombie_of_a_step_hands_nothing_in_once_all_is_over(
    world: PgWorld, process: Process, other: Process
) -> None:
    execution = execution_of(world, flow(node("a", "ProbeNode", queue="gpu")))
    begun: list[str] = []

    def stop(ctx: NodeContext) -> None:
        begun.append(ctx.node_id)
        world.execute(
            "UPDATE chaingraph_executions SET status = 'stopped', completed_at = clock_timestamp(),"
            " runnable_at = NULL, epoch = epoch + 1"
        )
        world.execute(f"DELETE FROM {CLAIMS} WHERE node_id <> ''")

    sent = Sent(process, (node_that(stop),), sends_all=False)
    assert sent.advance(execution) is RunEnd.PARKED

    assert not sent.run_step()

    assert begun == ["a"]
    assert checkpoints(world, execution) == {}
