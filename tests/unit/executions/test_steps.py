"""What a running node says on its way to its run: bounded, and dropped once it was given up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

from app.engine import Start
from app.executions.arrivals import Arrival, Told
from app.executions.steps import MOST_UNHEARD, RunFacts, Step
from app.flows import prepare
from app.nodes.sdk import NodeContext, node, spec_of
from tests.waiting import wait_until

FACTS = RunFacts("EX", "EX", "local", {}, is_child=False)


def step_of(
    body: Callable[[NodeContext], object], inbox: SimpleQueue[Arrival], *, in_place: bool = False
) -> Step:
    @node("ProbeNode", category="test", in_place=in_place)
    def probe(ctx: NodeContext) -> None:
        body(ctx)

    spec = spec_of(probe)
    assert spec is not None
    document = {"metadata": {"name": "test"}, "nodes": [{"id": "a", "type": "ProbeNode"}]}
    plan = prepare(document | {"edges": []}, {"ProbeNode": spec}).plan
    return Step(FACTS, Start(plan.nodes[0], 1), {}, inbox, lambda: 0.0, 1.0)


def hear_all(step: Step, inbox: SimpleQueue[Arrival]) -> int:
    """Take what is there, as a run does; how much that was."""
    count = inbox.qsize()
    for _ in range(count):
        if isinstance(inbox.get(), Told):
            step.heard += 1
    return count


def test_a_node_that_nobody_hears_waits() -> None:
    inbox: SimpleQueue[Arrival] = SimpleQueue()
    most: list[int] = []

    def speak(ctx: NodeContext) -> None:
        for number in range(3 * MOST_UNHEARD):
            ctx.log(str(number))
            most.append(inbox.qsize())

    step = step_of(speak, inbox)
    thread = threading.Thread(target=step.run)
    thread.start()
    for _ in range(2):
        wait_until(lambda: inbox.qsize() == MOST_UNHEARD, "as much is said as may be unheard")
        assert hear_all(step, inbox) == MOST_UNHEARD
    thread.join(60)

    assert hear_all(step, inbox) == MOST_UNHEARD + 1
    assert len(most) == 3 * MOST_UNHEARD
    assert max(most) == MOST_UNHEARD


def test_a_node_that_waits_to_be_heard_ends_when_it_is_given_up() -> None:
    inbox: SimpleQueue[Arrival] = SimpleQueue()

    def chatter(ctx: NodeContext) -> None:
        while not ctx.cancelled.is_set():
            ctx.progress(0.5)
        ctx.log("and again")

    step = step_of(chatter, inbox)
    thread = threading.Thread(target=step.run)
    thread.start()
    wait_until(lambda: inbox.qsize() == MOST_UNHEARD, "it waits")

    step.cancel(timed_out=True)

    thread.join(60)
    assert not thread.is_alive()
    # Nothing said after its time was up piles up where nobody takes it.
    assert hear_all(step, inbox) == MOST_UNHEARD + 1


def test_a_node_in_the_thread_of_its_run_never_waits_for_it() -> None:
    inbox: SimpleQueue[Arrival] = SimpleQueue()

    def speak(ctx: NodeContext) -> None:
        for number in range(2 * MOST_UNHEARD):
            ctx.log(str(number))

    step_of(speak, inbox, in_place=True).run()

    assert inbox.qsize() == 2 * MOST_UNHEARD + 1
