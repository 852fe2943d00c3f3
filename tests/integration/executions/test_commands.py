"""Runs that are commanded: pause, resume, step, breakpoints, stop; in both ways of dispatch."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from app.errors import NodeCancelled
from app.executions.run import RunEnd
from app.executions.steps import Step
from app.nodes.sdk import NodeContext
from app.store.protocol import CommandStore
from tests.integration.executions.losing import Gate, recover
from tests.integration.executions.nodes import effect, fail, node_that
from tests.integration.executions.process import (
    Driven,
    Process,
    assert_due,
    chain,
    checkpoints,
    execution_of,
    flow,
    node,
    options,
    pass_time,
    told,
)
from tests.integration.executions.sending import Sent
from tests.waiting import wait_until
from tests.world import PgWorld


@dataclass
class Begun:
    """A node type that notes which nodes begin, and may hold one of them at a gate."""

    held: str = ""
    nodes: list[str] = field(default_factory=list)
    gate: Gate = field(default_factory=Gate)

    def __call__(self, ctx: NodeContext) -> None:
        self.nodes.append(ctx.node_id)
        if ctx.node_id == self.held:
            self.gate(ctx)

    def type(self, **more: Any) -> Callable[..., Any]:
        return node_that(self, **more)


THREE = chain(node("a", "ProbeNode"), node("b", "ProbeNode"), node("c", "ProbeNode"))


@pytest.fixture
def commands(world: PgWorld) -> CommandStore:
    return world.commands()


def breaking_at(*nodes: str) -> str:
    return json.dumps({**json.loads(options()), "breakpoints": list(nodes)})


def held_at(process: Process, execution: str, begun: Begun, **more: Any) -> Driven:
    """Drive a run up to its gate."""
    run = process.start(process.claim(process.around(begun.type(**more)), execution))
    wait_until(
        lambda: begun.gate.reached and process.world.row(execution).status == "running",
        "the node begins",
    )
    return run


def paused_after_a(
    world: PgWorld, process: Process, commands: CommandStore, document: Any = THREE
) -> str:
    """An execution that is paused with its first node done."""
    execution = execution_of(world, document)
    begun = Begun("a")
    run = held_at(process, execution, begun)
    commands.pause(execution, "why")
    run.run.alert()
    begun.gate.open()
    assert run.end() is RunEnd.PAUSED
    return execution


# -- pause and resume


@pytest.mark.parametrize("effects", [True, False])
@pytest.mark.parametrize("is_alerted", [True, False])
def test_a_pause_lets_what_runs_finish_and_nothing_start(
    world: PgWorld, process: Process, commands: CommandStore, effects: bool, is_alerted: bool
) -> None:
    execution = execution_of(world, THREE)
    begun = Begun("a")
    run = held_at(process, execution, begun, effects=effects)

    commands.pause(execution, "why")
    if is_alerted:
        run.run.alert()
    begun.gate.open()

    assert run.end() is RunEnd.PAUSED
    assert begun.nodes == ["a"] or not effects
    row = world.row(execution)
    assert (row.status, row.requested, row.grants) == ("paused", None, {})
    assert row.waiting["for"] == "resume"
    done = begun.nodes
    assert list(checkpoints(world, execution)) == done
    assert told(world, execution)[-2:] == [f"node:completed {done[-1]}", "flow:paused"]
    assert json.loads(world.events(execution)[-1][2]) == {"reason": "why"}


def test_a_resumed_execution_goes_on_where_it_was(
    world: PgWorld, process: Process, other: Process, commands: CommandStore
) -> None:
    execution = paused_after_a(world, process, commands)
    begun = Begun()

    commands.resume(execution)

    assert other.run(execution, begun.type()) is RunEnd.FINISHED
    assert begun.nodes == ["b", "c"]
    assert told(world, execution) == [
        "execution:created",
        "flow:started",
        "node:started a",
        "node:completed a",
        "flow:paused",
        "flow:resumed",
        "node:started b",
        "node:completed b",
        "node:started c",
        "node:completed c",
        "flow:completed",
        "execution:completed",
    ]


def test_a_pause_comes_before_the_end(
    world: PgWorld, process: Process, commands: CommandStore
) -> None:
    execution = execution_of(world, flow(node("a", "ProbeNode")))
    begun = Begun("a")
    run = held_at(process, execution, begun)
    commands.pause(execution, "why")
    begun.gate.open()

    assert run.end() is RunEnd.PAUSED
    assert told(world, execution)[-2:] == ["node:completed a", "flow:paused"]

    commands.resume(execution)
    assert process.run(execution, begun.type()) is RunEnd.FINISHED
    assert told(world, execution)[-3:] == [
        "flow:resumed",
        "flow:completed",
        "execution:completed",
    ]
    assert begun.nodes == ["a"]


def test_a_failure_waits_for_the_resume(
    world: PgWorld, process: Process, commands: CommandStore
) -> None:
    gate = Gate()

    def held_failure(ctx: NodeContext) -> None:
        gate(ctx)
        fail(ctx)

    execution = execution_of(world, flow(node("a", "ProbeNode")))
    run = process.start(process.claim(process.around(node_that(held_failure)), execution))
    wait_until(lambda: gate.reached, "a begins")
    commands.pause(execution, "why")
    gate.open()

    assert run.end() is RunEnd.PAUSED
    commands.resume(execution)
    assert process.run(execution, node_that(held_failure)) is RunEnd.FINISHED
    row = world.row(execution)
    assert (row.status, row.error_node_id) == ("failed", "a")


def test_a_pause_that_is_withdrawn_changes_nothing(
    world: PgWorld, process: Process, commands: CommandStore
) -> None:
    document = flow(node("a", "ProbeNode"), node("b", "ProbeNode"))
    execution = execution_of(world, document, options=options(maxConcurrency=1))
    begun = Begun("a")
    run = held_at(process, execution, begun)
    commands.pause(execution, "why")
    run.run.alert()
    wait_until(lambda: run.run._writer.request, "the run knows of the pause")

    commands.resume(execution)
    begun.gate.open()

    assert run.end() is RunEnd.FINISHED
    assert "flow:paused" not in told(world, execution)


def test_a_pause_that_is_withdrawn_lets_others_start_at_once(
    world: PgWorld, process: Process, commands: CommandStore
) -> None:
    """Without waiting for what still runs."""
    document = flow(
        node("a", "ProbeNode"),
        node("b", "EffectNode"),
        node("c", "EffectNode"),
        edges=[{"source": "b.text", "target": "c.text"}],
    )
    execution = execution_of(world, document)
    begun, second = Begun("a"), Gate()
    around = process.around(begun.type(), node_that(second, "EffectNode"))
    run = process.start(process.claim(around, execution))
    wait_until(lambda: begun.gate.reached and second.reached, "a and b begin")
    commands.pause(execution, "why")
    run.run.alert()
    wait_until(lambda: run.run._writer.request, "the run knows of the pause")
    second.open()
    wait_until(lambda: "b" in checkpoints(world, execution), "b is done")
    assert second.reached == [1]

    commands.resume(execution)
    run.run.alert()

    wait_until(lambda: second.reached == [1, 1], "c begins")
    begun.gate.open()
    assert run.end() is RunEnd.FINISHED


def test_a_renewal_tells_the_run_of_a_pause(
    world: PgWorld, process: Process, commands: CommandStore
) -> None:
    execution = execution_of(world, THREE)
    begun = Begun("a")
    run = held_at(process, execution, begun)
    keeper = process.keeper(lambda: [run.run])
    keeper.start()

    commands.pause(execution, "why")

    wait_until(lambda: run.run._writer.request, "the run knows of the pause")
    keeper.stop(unregister=True)
    begun.gate.open()
    assert run.end() is RunEnd.PAUSED


def test_a_back_off_survives_a_pause(
    world: PgWorld, process: Process, commands: CommandStore
) -> None:
    retry = {"maxAttempts": 2, "backoffMs": 60_000}
    execution = execution_of(world, flow(node("a", "ProbeNode", retry=retry)))
    assert process.run(execution, node_that(fail)) is RunEnd.PARKED
    pass_time(world, execution, 30_000)
    until = world.row(execution).wake_at

    commands.pause(execution, "why")
    assert (world.row(execution).status, world.row(execution).wake_at) == ("paused", None)
    commands.resume(execution)

    assert process.run(execution, node_that(fail)) is RunEnd.PARKED
    assert_due(world, execution, until)


def test_nothing_runs_between_a_pause_whose_owner_died_and_the_resume(
    world: PgWorld, process: Process, other: Process, commands: CommandStore
) -> None:
    execution = execution_of(world, THREE)
    lost = Begun("b")
    held_at(process, execution, lost)
    commands.pause(execution, "why")
    recover(world, execution)
    begun = Begun()

    assert other.run(execution, begun.type()) is RunEnd.PAUSED
    assert begun.nodes == []
    commands.resume(execution)
    assert other.run(execution, begun.type()) is RunEnd.FINISHED

    assert begun.nodes == ["b", "c"]
    attempts = {each: row.attempt for each, row in checkpoints(world, execution).items()}
    assert attempts == {"a": 1, "b": 2, "c": 1}
    lost.gate.open()


def test_a_drained_run_pauses_where_it_is_asked_to(
    world: PgWorld, process: Process, commands: CommandStore
) -> None:
    execution = execution_of(world, THREE)
    begun, drain = Begun("a"), threading.Event()
    around = process.around(begun.type(), is_draining=drain.is_set)
    run = process.start(process.claim(around, execution))
    wait_until(lambda: begun.gate.reached, "a begins")
    commands.pause(execution, "why")
    run.run.alert()
    wait_until(lambda: run.run._writer.request, "the run knows of the pause")
    drain.set()
    begun.gate.open()

    assert run.end() is RunEnd.PAUSED


# -- step


def step(world: PgWorld, execution: str) -> None:
    assert world.commands().step(execution, world.row(execution).writes) is not None


def test_a_step_runs_one_node(world: PgWorld, process: Process, commands: CommandStore) -> None:
    execution = paused_after_a(world, process, commands)
    begun = Begun()

    step(world, execution)

    assert process.run(execution, begun.type()) is RunEnd.PAUSED
    assert begun.nodes == ["b"]
    assert told(world, execution)[-4:] == [
        "flow:resumed",
        "node:started b",
        "node:completed b",
        "flow:paused",
    ]
    assert json.loads(world.events(execution)[-1][2]) == {"reason": "step"}
    assert (world.row(execution).status, world.row(execution).requested) == ("paused", None)


def test_the_last_step_completes(world: PgWorld, process: Process, commands: CommandStore) -> None:
    execution = paused_after_a(world, process, commands)
    begun = Begun()
    step(world, execution)
    process.run(execution, begun.type())

    step(world, execution)

    assert process.run(execution, begun.type()) is RunEnd.FINISHED
    assert begun.nodes == ["b", "c"]
    assert told(world, execution)[-5:] == [
        "flow:resumed",
        "node:started c",
        "node:completed c",
        "flow:completed",
        "execution:completed",
    ]


def test_of_many_ready_nodes_a_step_takes_the_first_in_document_order(
    world: PgWorld, process: Process, commands: CommandStore
) -> None:
    nodes = [node(each, "ProbeNode") for each in "abcd"]
    execution = paused_after_a(world, process, commands, chain(nodes[0], node("z", "ProbeNode")))
    document = flow(*nodes)
    world.execute(
        "UPDATE chaingraph_flow_versions SET document = %s FROM chaingraph_executions AS e"
        " WHERE e.id = %s AND chaingraph_flow_versions.flow_id = e.flow_id",
        json.dumps(document),
        execution,
    )
    begun = Begun()

    for _ in "bcd":
        step(world, execution)
        process.run(execution, begun.type())

    assert begun.nodes == ["b", "c", "d"]
    assert world.row(execution).status == "completed"


@pytest.mark.parametrize("effects", [True, False])
def test_a_crash_in_the_middle_of_a_step_resumes_that_node(
    world: PgWorld, process: Process, other: Process, commands: CommandStore, effects: bool
) -> None:
    document = flow(node("a", "ProbeNode"), node("b", "ProbeNode"), node("c", "ProbeNode"))
    execution = execution_of(world, document, options=options(maxConcurrency=1))
    begun = Begun("a")
    run = held_at(process, execution, begun)
    commands.pause(execution, "why")
    begun.gate.open()
    run.end()
    step(world, execution)
    lost = Begun("b")
    held_at(process, execution, lost, effects=effects)
    recover(world, execution)
    again = Begun()

    assert other.run(execution, again.type(effects=effects)) is RunEnd.PAUSED

    assert again.nodes == ["b"]
    assert list(checkpoints(world, execution)) == ["a", "b"]
    lost.gate.open()


def test_a_step_that_fails_for_good_ends_the_execution(
    world: PgWorld, process: Process, commands: CommandStore
) -> None:
    execution = paused_after_a(world, process, commands)
    step(world, execution)

    assert process.run(execution, node_that(fail)) is RunEnd.FINISHED
    assert world.row(execution).status == "failed"


def test_a_step_is_an_attempt_and_a_back_off_goes_on_without_it(
    world: PgWorld, process: Process, commands: CommandStore
) -> None:
    retry = {"maxAttempts": 2, "backoffMs": 60_000}
    document = chain(node("a", "ProbeNode"), node("b", "ProbeNode", retry=retry))
    execution = paused_after_a(world, process, commands, document)
    step(world, execution)

    assert process.run(execution, node_that(fail)) is RunEnd.PAUSED
    assert checkpoints(world, execution)["b"].status == "waiting"
    assert world.row(execution).waiting["for"] == "resume"


def test_a_drained_worker_hands_a_step_on(
    world: PgWorld, process: Process, other: Process, commands: CommandStore
) -> None:
    execution = paused_after_a(world, process, commands)
    step(world, execution)
    begun = Begun()

    around = process.around(begun.type(), is_draining=lambda: True)
    assert process.claim(around, execution).drive() is RunEnd.RELEASED
    assert other.run(execution, begun.type()) is RunEnd.PAUSED
    assert begun.nodes == ["b"]


# -- where it breaks


def test_a_breakpoint_pauses_before_its_node_and_once(
    world: PgWorld, process: Process, other: Process, commands: CommandStore
) -> None:
    execution = execution_of(world, THREE, options=breaking_at("b"))
    begun = Begun()

    assert process.run(execution, begun.type()) is RunEnd.PAUSED

    assert begun.nodes == ["a"]
    assert told(world, execution)[-3:] == [
        "node:completed a",
        "debug:breakpoint-hit b",
        "flow:paused",
    ]
    waiting = world.row(execution).waiting
    assert (waiting["for"], waiting["detail"]) == ("breakpoint", {"nodeId": "b"})

    commands.resume(execution)
    lost = Begun("b")
    held_at(process, execution, lost)
    recover(world, execution)
    assert other.run(execution, begun.type()) is RunEnd.FINISHED
    assert begun.nodes == ["a", "b", "c"]
    lost.gate.open()


def test_each_breakpoint_is_hit(world: PgWorld, process: Process, commands: CommandStore) -> None:
    execution = execution_of(world, THREE, options=breaking_at("c", "a", "b"))
    begun = Begun()

    seen = []
    while process.run(execution, begun.type()) is RunEnd.PAUSED:
        seen.append((world.row(execution).waiting["detail"]["nodeId"], list(begun.nodes)))
        commands.resume(execution)

    assert seen == [("a", []), ("b", ["a"]), ("c", ["a", "b"])]
    assert world.row(execution).status == "completed"


def test_a_breakpoint_waits_for_what_runs(
    world: PgWorld, process: Process, commands: CommandStore
) -> None:
    document = flow(node("a", "ProbeNode"), node("b", "ProbeNode"), node("c", "ProbeNode"))
    execution = execution_of(world, document, options=breaking_at("b"))
    begun = Begun("a")
    run = held_at(process, execution, begun)

    begun.gate.open()

    assert run.end() is RunEnd.PAUSED
    assert begun.nodes == ["a"]
    assert list(checkpoints(world, execution)) == ["a"]


def test_a_step_goes_past_a_breakpoint(
    world: PgWorld, process: Process, commands: CommandStore
) -> None:
    execution = execution_of(world, THREE, options=breaking_at("a"))
    begun = Begun()
    process.run(execution, begun.type())

    step(world, execution)

    assert process.run(execution, begun.type()) is RunEnd.PAUSED
    assert begun.nodes == ["a"]


# -- stop


def test_a_stop_reaches_a_node_in_the_middle(
    world: PgWorld, process: Process, commands: CommandStore
) -> None:
    begun, ended = threading.Event(), threading.Event()
    raised: list[BaseException] = []

    def work(ctx: NodeContext) -> None:
        begun.set()
        try:
            while True:
                ctx.sleep(1000)
        except NodeCancelled as error:
            raised.append(error)
            raise
        finally:
            ended.set()

    execution = execution_of(world, THREE)
    run = process.start(process.claim(process.around(node_that(work)), execution))
    assert begun.wait(60)

    commands.stop(execution, "why")
    run.run.alert()

    assert run.end() is RunEnd.LOST
    assert ended.wait(60)
    assert len(raised) == 1
    assert checkpoints(world, execution) == {}
    assert told(world, execution)[-2:] == ["flow:cancelled", "execution:stopped"]


def test_a_node_that_does_not_listen_holds_nobody_up(
    world: PgWorld, process: Process, commands: CommandStore
) -> None:
    execution, next_one = execution_of(world, THREE), execution_of(world, flow(node("a")))
    begun = Begun("a")
    let_go: list[str] = []
    around = process.around(begun.type(), let_go=let_go.append)
    executor = process.executor(around)
    worker = threading.Thread(target=executor.work, daemon=True)
    worker.start()
    wait_until(lambda: begun.gate.reached, "a begins")

    commands.stop(execution, "why")
    for run in executor.running():
        run.alert()

    wait_until(lambda: world.row(next_one).status == "completed", "the process goes on")
    assert let_go == [execution]
    begun.gate.open()
    worker.join(60)
    assert begun.nodes == ["a"]
    assert checkpoints(world, execution) == {}


def test_a_renewal_tells_the_run_of_a_stop(
    world: PgWorld, process: Process, commands: CommandStore
) -> None:
    execution = execution_of(world, THREE)
    begun = Begun("a")
    run = held_at(process, execution, begun)
    keeper = process.keeper(lambda: [run.run])
    keeper.start()

    commands.stop(execution, "why")

    assert run.end() is RunEnd.LOST
    keeper.stop(unregister=True)
    begun.gate.open()


def test_a_node_that_was_granted_before_a_stop_and_held_up_never_begins(
    world: PgWorld, process: Process, commands: CommandStore
) -> None:
    execution = execution_of(world, THREE)
    begun = Begun()
    held: list[Step] = []
    now = [0.0]
    around = replace(process.around(begun.type()), launch=held.append)
    around = replace(around, clock=lambda: now[0] + time.monotonic())
    run = process.start(process.claim(around, execution))
    wait_until(lambda: held, "a is granted")
    commands.stop(execution, "why")

    now[0] += 0.2
    held[0].run()

    assert run.end() is RunEnd.LOST
    assert begun.nodes == []


def test_a_node_that_was_given_up_before_it_began_never_begins(
    world: PgWorld, process: Process, commands: CommandStore
) -> None:
    execution = execution_of(world, THREE)
    begun = Begun()
    held: list[Step] = []
    run = process.start(process.claim(process.around(begun.type(), launch=held.append), execution))
    wait_until(lambda: held, "a is granted")
    commands.stop(execution, "why")
    run.run.alert()
    assert run.end() is RunEnd.LOST

    held[0].run()

    assert begun.nodes == []


# -- sent steps


def test_a_pause_waits_for_a_sent_step(
    world: PgWorld, process: Process, commands: CommandStore
) -> None:
    execution = execution_of(world, THREE)
    begun = Begun()
    sent = Sent(process, (begun.type(),))
    assert sent.advance(execution) is RunEnd.PARKED

    commands.pause(execution, "why")
    assert world.row(execution).status == "running"
    assert sent.run_step()

    assert sent.advance(execution) is RunEnd.PAUSED
    assert (begun.nodes, sent.steps) == (["a"], [])
    assert told(world, execution)[-2:] == ["node:completed a", "flow:paused"]

    step(world, execution)
    assert sent.advance(execution) is RunEnd.PARKED
    assert sent.run_step()
    assert sent.advance(execution) is RunEnd.PAUSED
    assert (begun.nodes, sent.steps) == (["a", "b"], [])

    commands.resume(execution)
    assert sent.advance(execution) is RunEnd.PARKED
    assert sent.run_step()
    assert sent.advance(execution) is RunEnd.FINISHED
    assert begun.nodes == ["a", "b", "c"]


def test_a_sent_step_of_what_was_stopped_is_not_run(
    world: PgWorld, process: Process, commands: CommandStore
) -> None:
    execution = execution_of(world, THREE)
    begun = Begun()
    sent = Sent(process, (begun.type(),))
    sent.advance(execution)

    commands.stop(execution, "why")

    assert not sent.run_step()
    assert begun.nodes == []


def test_a_stop_reaches_a_sent_step(
    world: PgWorld, process: Process, commands: CommandStore
) -> None:
    execution = execution_of(world, THREE)
    begun = Begun("a")
    let_go: list[str] = []
    sent = Sent(process, (begun.type(),))
    sent.around = replace(sent.around, let_go=let_go.append)
    sent.executor = process.executor(sent.around)
    sent.advance(execution)
    outcome: list[bool] = []
    worker = threading.Thread(target=lambda: outcome.append(sent.run_step()), daemon=True)
    worker.start()
    wait_until(lambda: begun.gate.reached, "a begins")

    [effect_of_stop] = commands.stop(execution, "why")
    assert effect_of_stop.owners == ["w1"]
    for run in sent.executor.running():
        run.alert()

    worker.join(60)
    assert (outcome, let_go) == ([False], [execution])
    begun.gate.open()


def test_an_alert_leaves_a_sent_step_alone_that_is_to_be_paused(
    world: PgWorld, process: Process, commands: CommandStore
) -> None:
    execution = execution_of(world, THREE)
    begun = Begun("a")
    sent = Sent(process, (begun.type(), effect))
    sent.advance(execution)
    outcome: list[bool] = []
    worker = threading.Thread(target=lambda: outcome.append(sent.run_step()), daemon=True)
    worker.start()
    wait_until(lambda: begun.gate.reached, "a begins")
    commands.pause(execution, "why")
    for run in sent.executor.running():
        run.alert()

    begun.gate.open()

    worker.join(60)
    assert outcome == [True]
