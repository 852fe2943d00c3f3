"""What a fork takes over, and that it comes to what the run came to that it was forked from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine import Checkpoint, Engine, NodeFailure, NodeStatus, Record, Resolution, RunOptions
from app.engine.forking import TakenOver, dependents, take_over
from app.engine.wiring import Wiring
from app.events.types import EventType
from app.values.streams import stream_value
from tests.unit.engine.driving import Drive
from tests.unit.engine.graphs import (
    Graph,
    engine_of,
    flow,
    graphs,
    group,
    inside,
    node,
    plan_of,
    start_all,
    streaming_graphs,
)
from tests.unit.engine.test_properties import CONTINUING, OPTIONS, SEEDS, driven, examples

#: Flows of which every run comes to the same, whatever ends first.
DECIDED = graphs(several_edges_per_port=False)
FLOWS = st.one_of(graphs(), streaming_graphs())


def forked(
    graph: Graph, options: RunOptions, records: Sequence[Record], start: int
) -> tuple[Drive, TakenOver]:
    """A drive of a fork at a node, about to begin."""
    drive = Drive(graph, options)
    wiring = drive.engine.wiring
    taken = take_over(
        lambda: Engine(wiring, options, None, graph.event), records, [start], with_failures=True
    )
    drive.engine = taken.engine
    return drive, taken


def started(drive: Drive) -> set[str]:
    return {event.data["nodeId"] for event in drive.events if event.type is EventType.NODE_STARTED}


@examples
@given(DECIDED, CONTINUING, SEEDS, SEEDS, st.data())
def test_a_fork_of_any_run_at_any_node_comes_to_the_same(
    graph: Graph, options: RunOptions, seed: int, other_seed: int, data: st.DataObject
) -> None:
    whole = driven(graph, options, seed)
    start = data.draw(st.integers(0, len(graph.plan.nodes) - 1))

    drive, taken = forked(graph, options, whole.records, start)
    drive.finish(Random(other_seed).choice)

    assert drive.statuses() == whole.statuses()
    assert drive.outputs() == whole.outputs()
    assert drive.engine.failures == whole.engine.failures
    anew = {graph.plan.nodes[n].id for n in dependents(drive.engine.wiring, [start])}
    assert set(taken.nodes) == started(whole) - anew
    assert started(drive) == started(whole) & anew


@examples
@given(DECIDED, CONTINUING, SEEDS, SEEDS, st.data())
def test_a_fork_of_a_run_that_goes_on_comes_to_what_that_comes_to(
    graph: Graph, options: RunOptions, seed: int, other_seed: int, data: st.DataObject
) -> None:
    whole = driven(graph, options, seed)
    start = data.draw(st.integers(0, len(graph.plan.nodes) - 1))
    moment = data.draw(st.sampled_from(whole.moments))

    drive, taken = forked(graph, options, whole.records[: moment.records], start)
    drive.finish(Random(other_seed).choice)

    assert drive.statuses() == whole.statuses()
    assert drive.outputs() == whole.outputs()
    assert not started(drive) & set(taken.nodes)


@settings(examples, max_examples=200)
@given(FLOWS, OPTIONS, SEEDS, SEEDS, st.data())
def test_whatever_the_flow_is_a_fork_ends_and_runs_nothing_that_it_took_over(
    graph: Graph, options: RunOptions, seed: int, other_seed: int, data: st.DataObject
) -> None:
    whole = driven(graph, options, seed)
    start = data.draw(st.integers(0, len(graph.plan.nodes) - 1))
    moment = data.draw(st.sampled_from(whole.moments))

    drive, taken = forked(graph, options, whole.records[: moment.records], start)
    drive.finish(Random(other_seed).choice)

    assert not started(drive) & set(taken.nodes)
    anew = {graph.plan.nodes[n].id for n in dependents(drive.engine.wiring, [start])}
    assert not anew & set(taken.nodes)
    kept = {graph.plan.index_of[node_id] for node_id in taken.nodes}
    before, after = whole.outputs(), drive.outputs()
    assert {n: after.get(n) for n in kept} == {n: before.get(n) for n in kept}


# -- what stands


def completed(*node_ids: str, out: str = "x") -> list[Record]:
    return [
        Checkpoint(each, NodeStatus.COMPLETED, 1, {"out": {"x": out}, "flag": True})
        for each in node_ids
    ]


def failed(node_id: str) -> Checkpoint:
    return Checkpoint(node_id, NodeStatus.ERROR, 3, error=NodeFailure("NodeError", "no"))


def taken(
    nodes: Iterable[str | dict[str, Any]],
    edges: Iterable[str],
    records: Sequence[Record],
    *anew: str,
    options: RunOptions | None = None,
) -> tuple[list[str], list[str]]:
    """What a fork takes over, and what it starts first; `anew` names the node that it is at."""
    wiring = Wiring(plan_of(flow(nodes, edges)))
    over = take_over(
        lambda: Engine(wiring, options or RunOptions()),
        records,
        [wiring.plan.index_of[each] for each in anew],
        with_failures=bool(anew),
    )
    return list(over.nodes), start_all(over.engine)


CHAIN = ["a", "b", "c"], ["a.out > b.a", "b.out > c.a"]


def test_what_comes_before_the_node_is_taken_over() -> None:
    assert taken(*CHAIN, completed("a", "b", "c"), "b") == (["a"], ["b"])
    assert taken(*CHAIN, completed("a", "b", "c"), "a") == ([], ["a"])


def test_without_a_node_all_that_completed_is() -> None:
    assert taken(*CHAIN, completed("a", "b")) == (["a", "b"], ["c"])
    assert taken(*CHAIN, completed("a", "b", "c")) == (["a", "b", "c"], [])


def test_what_failed_runs_anew_with_what_its_error_led_to() -> None:
    nodes, edges = ["a", "b", "c"], ["a.__error > b.a", "c.out > b.b"]
    records = [failed("a"), *completed("c", "b")]
    assert taken(nodes, edges, records) == (["c"], ["a"])


def test_at_a_node_a_failure_elsewhere_stands_unless_it_would_end_the_run() -> None:
    nodes, edges = ["a", "b", "c"], ["a.__error > b.a"]
    records = [failed("a"), *completed("c", "b")]
    assert taken(nodes, edges, records, "c") == (["a", "b"], ["c"])
    assert taken(["a", "c"], [], records[:2], "c") == ([], ["a", "c"])
    going_on = RunOptions(fail_on_error=False)
    assert taken(["a", "c"], [], records[:2], "c", options=going_on) == (["a"], ["c"])


def test_what_waits_waits_anew() -> None:
    waiting = Checkpoint("b", NodeStatus.WAITING, 2, {"$signal": "go"})
    assert taken(*CHAIN, [*completed("a"), waiting]) == (["a"], ["b"])


def test_what_was_fed_by_a_node_that_has_not_ended_runs_anew() -> None:
    nodes, edges = ["a", "b", "c"], ["a.items > b.stream", "c.out > b.a"]
    given = Resolution("a", {"items": stream_value(is_closed=False)})
    records = [*completed("c"), given, *completed("b")]
    assert taken(nodes, edges, records) == (["c"], ["a"])
    ended = Checkpoint("a", NodeStatus.COMPLETED, 1, {"items": stream_value([1])})
    assert taken(nodes, edges, [*records, ended]) == (["c", "a", "b"], [])


def test_what_one_source_fed_stands_while_the_other_has_given_nothing() -> None:
    nodes, edges = ["a", "b", "c"], ["a.out > c.a", "b.out > c.a"]
    assert taken(nodes, edges, completed("a", "c")) == (["a", "c"], ["b"])
    assert taken(nodes, edges, completed("a", "c", "b"), "b") == (["a"], ["b", "c"])


def test_a_group_depends_on_its_children_and_they_not_on_it() -> None:
    nodes = [group("g"), inside("a", "g"), inside("b", "g"), "c"]
    edges = ["g.__success > c.__execute"]
    records = completed("a", "b", "g", "c")
    assert taken(nodes, edges, records, "a") == (["b"], ["a"])
    assert taken(nodes, edges, records, "g") == (["a", "b"], ["g"])


def test_a_node_that_is_gone_leaves_nothing() -> None:
    assert taken(["a", "c"], ["a.out > c.a"], completed("a", "b", "c"), "c") == (["a"], ["c"])


def test_what_came_after_a_cycle_was_given_up_comes_after_it_again() -> None:
    # In the run b and c were skipped once nothing else could set them going, and then d ran.
    nodes = ["s", "a", node("x", values={"__execute": False}), "b", "c", "d"]
    edges = ["x.out > b.a", "c.out > b.a", "b.out > c.a", "b.__success > d.a", "s.out > d.a"]
    records = completed("s", "a", "d")
    assert taken(nodes, edges, records, "a") == (["s", "d"], ["a"])


def test_it_begins_as_any_run_and_tells_what_is_skipped() -> None:
    engine = engine_of(
        ["a", "b", node("off", values={"__execute": False}), "c", "d"],
        ["a.out > b.a", "off.out > c.a", "b.out > d.a"],
        RunOptions(debug=True),
    )
    assert engine.adopt(completed("a", "b")) == []
    told = [(str(event.type), event.data.get("nodeId")) for event in engine.take_events()]
    assert [each for each in told if each[0] != "node:status-changed"] == [
        ("flow:started", None),
        ("node:skipped", "off"),
        ("node:skipped", "c"),
    ]
    assert told.count(("node:status-changed", "d")) == 1
    assert (engine.tally.completed, engine.tally.skipped) == (2, 2)
    assert start_all(engine) == ["d"]


def test_what_is_not_ready_is_left_out() -> None:
    engine = engine_of(*CHAIN)
    assert engine.adopt(completed("b", "a")) == [1]
    assert start_all(engine) == ["b"]
