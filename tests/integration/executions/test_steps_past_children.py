"""Steps of executions that have children: past the nodes that wait for them, and to the end."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.caller import Caller
from app.errors import Conflict
from app.executions.control import Control
from app.executions.plans import PlanCache
from app.executions.run import RunEnd
from app.executions.service import ExecutionService
from app.nodes.registry import builtin_catalogue
from app.nodes.sdk import NodeContext, spec_of
from app.store.protocol import CommandStore
from tests.integration.executions.nodes import node_that
from tests.integration.executions.process import (
    Process,
    checkpoints,
    execution_of,
    flow,
    node,
    told,
)
from tests.integration.executions.test_children import after, children, emitter, listener
from tests.integration.executions.test_commands import breaking_at
from tests.integration.executions.test_for_each import DOUBLE, VALUES, each
from tests.waiting import wait_until
from tests.world import PgWorld

OWNER = Caller("local")
CHILD = "V2child"
NOT_READY = "no node is ready"


@dataclass
class Stepper:
    """The API's part: steps executions, and tells nobody of it."""

    world: PgWorld
    commands: CommandStore
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.know(VALUES)

    def know(self, *targets: Any) -> None:
        """Know these node types, beside the built-in ones."""
        fake: Any = self
        own = {spec.type: spec for target in targets if (spec := spec_of(target))}
        plans = PlanCache({**builtin_catalogue(), **own})
        service = ExecutionService(
            self.world.table, fake, plans, fake, fake, fake, fake, start_ttl_ms=1
        )
        self.control = Control(service, self.commands, fake, fake, clock=fake, pause=fake)

    def tell(self, _effect: Any, command: str) -> None:
        self.told.append(command)

    def hint(self, execution_ids: list[str]) -> None:
        self.told += execution_ids

    def is_refused(self, execution_id: str) -> bool:
        with pytest.raises(Conflict, match=NOT_READY):
            self.control.step(execution_id, OWNER)
        return True

    def step(self, execution_id: str, process: Process, *targets: Any) -> RunEnd:
        """Step it, and have the step run."""
        self.control.step(execution_id, OWNER)
        return process.run(execution_id, *(targets or (VALUES,)))


@pytest.fixture
def stepper(world: PgWorld) -> Stepper:
    return Stepper(world, world.commands())


@pytest.fixture
def doubling(world: PgWorld) -> str:
    return world.store_flow(flow(node("work", "ValueNode")), DOUBLE)


def paused_at(world: PgWorld, process: Process, document: Any, first: str) -> str:
    """An execution that is paused before its first node."""
    execution = execution_of(world, document, options=breaking_at(first))
    assert process.run(execution, VALUES) is RunEnd.PAUSED
    return execution


def run_one_child(world: PgWorld, process: Process, parent: str) -> None:
    child = next(row for row in children(world, parent) if row.completed_at is None)
    assert process.run(child.id, VALUES) is RunEnd.FINISHED


def test_a_step_goes_past_a_node_whose_flow_has_run(
    world: PgWorld, process: Process, stepper: Stepper
) -> None:
    world.store_flow(flow(node("a")), CHILD)
    call = node("call", "RunFlowNode", values={"flowId": CHILD})
    document = flow(call, node("n"), node("o"), edges=[after("call", "n"), after("n", "o")])
    execution = paused_at(world, process, document, "call")

    assert stepper.step(execution, process) is RunEnd.PAUSED
    assert checkpoints(world, execution)["call"].status == "waiting"
    assert stepper.is_refused(execution)

    run_one_child(world, process, execution)
    assert stepper.step(execution, process) is RunEnd.PAUSED
    assert list(checkpoints(world, execution)) == ["call", "n"]
    assert stepper.step(execution, process) is RunEnd.FINISHED
    assert world.row(execution).status == "completed"


def test_a_step_completes_what_ends_with_a_flow_that_has_run(
    world: PgWorld, process: Process, stepper: Stepper
) -> None:
    world.store_flow(flow(node("a")), CHILD)
    call = node("call", "RunFlowNode", values={"flowId": CHILD})
    execution = paused_at(world, process, flow(call), "call")
    stepper.step(execution, process)

    run_one_child(world, process, execution)

    assert stepper.step(execution, process) is RunEnd.FINISHED
    assert checkpoints(world, execution)["call"].status == "completed"


def test_steps_go_through_the_items_of_a_node(
    world: PgWorld, process: Process, stepper: Stepper, doubling: str
) -> None:
    document = flow(each(1, 2, 3), node("n"), edges=[after("each", "n")])
    execution = paused_at(world, process, document, "each")

    assert stepper.step(execution, process) is RunEnd.PAUSED
    assert len(children(world, execution)) == 2
    assert stepper.is_refused(execution)

    # As one ends another begins, and its end alone is nothing to go on with.
    run_one_child(world, process, execution)
    assert stepper.step(execution, process) is RunEnd.PAUSED
    assert len(children(world, execution)) == 3
    assert stepper.is_refused(execution)

    for _ in range(2):
        run_one_child(world, process, execution)
    assert stepper.step(execution, process) is RunEnd.FINISHED
    assert checkpoints(world, execution)["each"].outputs["failed"] == 0
    assert world.row(execution).status == "completed"


def test_a_step_makes_the_children_that_a_pause_kept_back(
    world: PgWorld, process: Process, other: Process, stepper: Stepper, doubling: str
) -> None:
    execution = execution_of(world, flow(each(1, 2, concurrency=1), node("b", "ProbeNode")))

    def beside(ctx: NodeContext) -> None:
        wait_until(lambda: bool(children(world, execution)), "the first child is made")
        run_one_child(world, other, execution)
        stepper.commands.pause(execution, "why")
        run.alert()

    run = process.claim(process.around(VALUES, node_that(beside)), execution)
    assert run.drive() is RunEnd.PAUSED
    assert [row.child_state for row in children(world, execution)] == ["told"]

    stepper.know(node_that(beside))
    assert stepper.step(execution, process, VALUES, node_that(beside)) is RunEnd.PAUSED

    assert [row.child_state for row in children(world, execution)] == ["told", "open"]
    assert stepper.is_refused(execution)


@pytest.mark.parametrize("is_told", [False, True])
def test_a_step_completes_what_only_waited_for_its_children(
    world: PgWorld, process: Process, stepper: Stepper, is_told: bool
) -> None:
    document = flow(emitter("emit", "order"), listener("on", "order"))
    execution = paused_at(world, process, document, "emit")
    assert stepper.step(execution, process) is RunEnd.PAUSED
    assert checkpoints(world, execution)["emit"].status == "completed"
    assert stepper.is_refused(execution)

    run_one_child(world, process, execution)
    if is_told:
        stepper.commands.resume(execution)
        run = process.claim(process.around(VALUES), execution)
        stepper.commands.pause(execution, "why")
        assert run.drive() is RunEnd.PAUSED
        assert [row.child_state for row in children(world, execution)] == ["told"]

    assert stepper.step(execution, process) is RunEnd.FINISHED
    assert told(world, execution)[-1] == "execution:completed"


def test_what_has_all_its_nodes_done_is_completed_by_a_step(
    world: PgWorld, process: Process, stepper: Stepper
) -> None:
    execution = execution_of(world, flow(node("a", "ProbeNode")))
    count = itertools.count()

    def pause(ctx: NodeContext) -> None:
        stepper.commands.pause(execution, f"why {next(count)}")

    assert process.run(execution, node_that(pause)) is RunEnd.PAUSED
    stepper.know(node_that(pause))
    assert stepper.step(execution, process, node_that(pause)) is RunEnd.FINISHED
    assert next(count) == 1
