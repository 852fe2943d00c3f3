"""Whatever the graph, the order of finishing and the moment of a crash: the rules hold."""

from __future__ import annotations

import re
from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine import Failure, NodeStatus, Resolution, RunOptions
from app.engine.state import SETTLED
from app.events.types import TERMINAL, EventType
from tests.unit.engine.driving import Drive, outputs_of, without_attempt, without_restarts
from tests.unit.engine.graphs import Graph, graphs, streaming_graphs
from tests.unit.engine.model import Model

SEEDS = st.integers(0, 2**32)

FLOWS = st.one_of(graphs(), streaming_graphs())

OPTIONS = st.builds(
    RunOptions,
    max_concurrency=st.sampled_from([1, 2, 3, 50]),
    fail_on_error=st.booleans(),
    debug=st.booleans(),
)

CONTINUING = st.builds(
    RunOptions, max_concurrency=st.sampled_from([1, 2, 50]), fail_on_error=st.just(False)
)

examples = settings(deadline=None, print_blob=True, max_examples=100)


def driven(graph: Graph, options: RunOptions, seed: int) -> Drive:
    drive = Drive(graph, options)
    drive.begin()
    drive.finish(Random(seed).choice)
    return drive


@examples
@given(FLOWS, OPTIONS, SEEDS)
def test_a_crash_at_any_moment_changes_nothing_but_attempts(
    graph: Graph, options: RunOptions, seed: int
) -> None:
    whole = driven(graph, options, seed)

    for moment in whole.moments:
        again = Drive(graph, options)
        again.resume(whole, moment)
        assert again.engine.take_events() == []
        if again.engine.unhandled:
            # No further node starts, so what ran beside the failure is not taken up again.
            again.follow([])
            assert again.verdict == whole.verdict
            assert [event.type for event in again.events] == [
                EventType.FLOW_FAILED,
                EventType.EXECUTION_FAILED,
            ]
            continue
        again.follow(whole.moves[moment.moves :])

        before = [without_attempt(event) for event in whole.events[: moment.events]]
        after = without_restarts(again.events, moment.running)
        assert again.verdict == whole.verdict
        assert again.statuses() == whole.statuses()
        assert again.outputs() == whole.outputs()
        assert before + [without_attempt(event) for event in after] == whole.told()


@examples
@given(FLOWS, OPTIONS, SEEDS)
def test_what_a_crash_interrupted_starts_first_as_the_next_attempt(
    graph: Graph, options: RunOptions, seed: int
) -> None:
    whole = driven(graph, options, seed)

    for moment in whole.moments:
        again = Drive(graph, options)
        again.resume(whole, moment)
        if again.engine.unhandled:
            assert again.engine.start_next() is None
            continue
        starts = list(iter(again.engine.start_next, None))
        assert all(start.was_interrupted for start in starts[: len(moment.running)])
        attempts = {start.node.id: start.attempt for start in starts}
        expected = {node: attempt + 1 for node, attempt in moment.running.items()}
        assert attempts.items() >= expected.items()


@examples
@given(graphs(several_edges_per_port=False), CONTINUING, CONTINUING, SEEDS, SEEDS)
def test_the_order_of_finishing_is_no_matter_without_merges(
    graph: Graph, options: RunOptions, other_options: RunOptions, seed: int, other_seed: int
) -> None:
    one = driven(graph, options, seed)
    other = driven(graph, other_options, other_seed)

    assert one.statuses() == other.statuses()
    assert one.outputs() == other.outputs()
    assert one.engine.failures == other.engine.failures


@examples
@given(FLOWS, CONTINUING, SEEDS)
def test_the_engine_agrees_with_the_rules_as_they_are_written(
    graph: Graph, options: RunOptions, seed: int
) -> None:
    drive = driven(graph, options, seed)
    model = Model(graph.plan, graph.event)

    for checkpoint in drive.records:
        node = graph.plan.index_of[checkpoint.node_id]
        if isinstance(checkpoint, Resolution):
            model.give(node, checkpoint.outputs)
        elif checkpoint.status is NodeStatus.COMPLETED:
            model.complete(node, outputs_of(graph, node, model.ready[node]))
        elif checkpoint.error is not None and checkpoint.status is NodeStatus.ERROR:
            model.fail(node, checkpoint.error.message)
    assert not model.ready

    assert drive.statuses() == [model.status[node.index] for node in graph.plan.nodes]
    assert drive.outputs() == {node: model.own_outputs(node) for node in drive.outputs()}


@examples
@given(FLOWS, OPTIONS, SEEDS)
def test_every_run_ends_with_every_node_settled_or_failed(
    graph: Graph, options: RunOptions, seed: int
) -> None:
    drive = driven(graph, options, seed)
    engine = drive.engine
    counted = Counter(engine.status)

    if not isinstance(drive.verdict, Failure):
        assert set(counted) <= SETTLED | {NodeStatus.IDLE}
        settled = engine.tally.completed + engine.tally.failed + engine.tally.skipped
        assert settled == engine.participation.total
        assert settled + counted[NodeStatus.IDLE] == len(graph.plan.nodes)
    assert isinstance(drive.verdict, Failure) <= options.fail_on_error
    assert not engine.running
    assert drive.most_running <= options.max_concurrency
    assert engine.tally.completed == counted[NodeStatus.COMPLETED]
    assert engine.tally.failed == counted[NodeStatus.ERROR]
    assert engine.tally.skipped == counted[NodeStatus.SKIPPED]


@examples
@given(FLOWS, OPTIONS, SEEDS)
def test_events_tell_one_story(graph: Graph, options: RunOptions, seed: int) -> None:
    drive = driven(graph, options, seed)
    terminal = [event for event in drive.events if event.type in TERMINAL]
    starts = [
        (event.data["nodeId"], event.data["attempt"])
        for event in drive.events
        if event.type is EventType.NODE_STARTED
    ]

    assert drive.events[0].type is EventType.FLOW_STARTED
    assert terminal == [drive.events[-1]]
    assert len(starts) == len(set(starts))
    for node_id, node in graph.plan.index_of.items():
        story = story_of(drive, node_id)
        if reads_stream(drive, node_id):
            # It starts anew with each attempt of the node that sends.
            story = re.sub("S+", "S", story)
        # A run that fails leaves some asleep.
        assert is_a_life(story + "C" if node in drive.asleep else story)
    if options.debug:
        assert_statuses_follow_each_other(drive)


def story_of(drive: Drive, node_id: str) -> str:
    """A letter for each thing told of a node: Start, Retry, Complete, Fail, sKip."""
    letters = {
        EventType.NODE_STARTED: "S",
        EventType.NODE_COMPLETED: "C",
        EventType.NODE_SKIPPED: "K",
    }
    story = ""
    for event in drive.events:
        if event.data.get("nodeId") != node_id:
            continue
        if event.type is EventType.NODE_FAILED:
            story += "R" if event.data["willRetry"] else "F"
        story += letters.get(event.type, "")
    return story


def reads_stream(drive: Drive, node_id: str) -> bool:
    ports = drive.graph.plan.nodes[drive.graph.plan.index_of[node_id]].in_ports
    return any(port.path == ("stream",) for port in ports)


def is_a_life(story: str) -> bool:
    """Whether a node was skipped, or started and ended attempt by attempt, or not begun."""
    attempts = story.replace("SR", "")
    return attempts in {"", "SC", "SF"} or story == "K"


def assert_statuses_follow_each_other(drive: Drive) -> None:
    now: dict[str, str] = {}
    for event in drive.events:
        if event.type is EventType.NODE_STATUS_CHANGED:
            node_id, old = event.data["nodeId"], event.data["oldStatus"]
            assert now.get(node_id, old) == old
            now[node_id] = event.data["newStatus"]
    for node_id, status in now.items():
        told = drive.engine.status[drive.graph.plan.index_of[node_id]]
        # A wait that ended is told with the start that follows it; so is a reader's new start.
        begins_anew = {"waiting", "executing"} if reads_stream(drive, node_id) else {"waiting"}
        assert status == told or (status in begins_anew and told is NodeStatus.INITIALIZED)


@examples
@given(FLOWS, OPTIONS)
def test_ready_nodes_start_in_document_order(graph: Graph, options: RunOptions) -> None:
    drive = Drive(graph, options)
    drive.begin()
    started = []
    while (start := drive.engine.start_next()) is not None:
        started.append(start.node.index)

    assert started == sorted(started)
