"""Whose time is up first in a process, and who doesn't yield."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from queue import SimpleQueue

from app.engine import Start
from app.executions.node_watch import STUCK_AFTER_S, NodeWatch, overdue
from app.executions.steps import RunFacts, Step
from app.flows import prepare
from app.nodes.sdk import NodeContext, node, spec_of
from tests.waiting import wait_until


@dataclass
class Watched:
    """A watch and what it noted; `now` is its clock."""

    now: float = 0.0
    notes: list[tuple[float, str | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watch = NodeWatch(
            lambda: self.now,
            lambda due, step: self.notes.append((due, step and step.node_id)),
        )

    def step(self, node_id: str, due: float, body: Callable[[], object], **retry: int) -> Step:
        @node("ProbeNode", category="test")
        def probe(_: NodeContext) -> None:
            body()

        spec = spec_of(probe)
        assert spec is not None
        nodes = [{"id": node_id, "type": "ProbeNode"} | ({"retry": retry} if retry else {})]
        document = {"metadata": {"name": "test"}, "nodes": nodes, "edges": []}
        plan = prepare(document, {"ProbeNode": spec}).plan
        facts = RunFacts("EX1", "EX1", "local", {}, is_child=False)
        clock = lambda: self.now  # noqa: E731 — read when the step reads it
        step = Step(facts, Start(plan.nodes[0], 1), {}, SimpleQueue(), clock, inf)
        step.due, step.limit_ms = due, 700
        return step


def nothing() -> None:
    """What a node does that is done."""


def test_a_node_is_noted_while_it_runs() -> None:
    watched = Watched()

    watched.watch.run(watched.step("a", 7.0, lambda: watched.notes.append((0.0, "runs"))))

    assert watched.notes == [(7.0, "a"), (0.0, "runs"), (inf, None)]


def test_the_one_whose_time_is_up_first_is_noted() -> None:
    watched = Watched()
    watch = watched.watch

    def outer() -> None:
        watch.run(watched.step("later", 9.0, nothing))
        watch.run(watched.step("sooner", 3.0, nothing))

    watch.run(watched.step("a", 7.0, outer))

    assert watched.notes == [(7.0, "a"), (3.0, "sooner"), (7.0, "a"), (inf, None)]


def test_what_was_given_up_is_not_noted_any_more_and_stuck_once_it_runs_on() -> None:
    watched = Watched()
    release = threading.Event()
    step = watched.step("a", 7.0, lambda: release.wait(60))
    thread = threading.Thread(target=watched.watch.run, args=(step,))
    thread.start()
    wait_until(lambda: watched.notes, "it runs")
    watched.now = 8.0
    watched.watch.look()
    assert watched.notes == [(7.0, "a")]

    step.cancel(timed_out=True)
    watched.watch.look()

    assert watched.notes == [(7.0, "a"), (inf, None)]
    watched.now = 8.0 + STUCK_AFTER_S
    assert watched.watch.stuck() == []
    watched.now += 0.1
    assert watched.watch.stuck() == [step]
    release.set()
    thread.join(60)
    assert watched.watch.stuck() == []


def test_what_comes_of_a_node_that_can_not_be_given_up_is_its_timeout() -> None:
    watched = Watched()
    step = watched.step("a", 7.0, nothing, maxAttempts=2, backoffMs=30)
    step.claim_epoch = 5

    found = overdue(step, "w1")

    assert (found.execution_id, found.node_id, found.attempt) == ("EX1", "a", 1)
    assert (found.claim_epoch, found.worker_id) == (5, "w1")
    assert json.loads(found.result) == {
        "error": {"type": "NodeTimeout", "message": "not done within 700 ms"},
        "retryDelayMs": 30,
        "executionMs": 700,
    }


def test_the_last_attempt_is_not_followed_by_another() -> None:
    step = Watched().step("a", 7.0, nothing)

    assert json.loads(overdue(step, "w1").result)["retryDelayMs"] is None
