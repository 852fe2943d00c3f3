"""The rules of docs/flows.md, one by one, on flows of a few nodes."""

from __future__ import annotations

from typing import Any

import pytest

from app.engine import Checkpoint, Completion, Engine, Failure, NodeFailure, NodeStatus, RunOptions
from app.events.types import Event, EventType
from tests.unit.engine.graphs import engine_of, group, inside, listener, node, start_all

CONTINUE = RunOptions(fail_on_error=False)
BROKEN = NodeFailure("NodeError", "broken")
RETRY_AT = "2000-01-01T00:00:00.000Z"


class Run:
    """An engine that has begun, spoken to by node ids."""

    def __init__(
        self,
        nodes: list[str | dict[str, Any]],
        edges: list[str] | None = None,
        options: RunOptions | None = None,
        inputs: dict[int, dict[str, Any]] | None = None,
        event: str | None = None,
    ) -> None:
        self.engine: Engine = engine_of(nodes, edges or [], options, inputs, event)
        self.engine.begin()
        self.index = self.engine.plan.index_of

    def start(self) -> list[str]:
        """Start what may start."""
        return start_all(self.engine)

    def complete(self, node_id: str, **outputs: Any) -> list[str]:
        """End a node well; what starts then."""
        self.engine.complete(self.index[node_id], {"out": None, "flag": False, **outputs}, 0)
        return self.start()

    def fail(self, node_id: str) -> list[str]:
        """End a node badly; what starts then."""
        self.engine.fail(self.index[node_id], BROKEN, 0)
        return self.start()

    def status(self, node_id: str) -> str:
        return str(self.engine.status[self.index[node_id]])

    def inputs(self, node_id: str) -> dict[str, Any]:
        return self.engine.inputs(self.index[node_id])

    def told(self, kind: EventType) -> list[Event]:
        return [event for event in self.engine.take_events() if event.type is kind]

    def reason(self, node_id: str) -> str:
        """Why a node was skipped."""
        skips = self.told(EventType.NODE_SKIPPED)
        return next(str(e.data["reason"]) for e in skips if e.data["nodeId"] == node_id)


# -- rule 1


def test_a_node_without_edges_is_ready_at_once() -> None:
    assert Run(["a", "b"]).start() == ["a", "b"]


def test_a_node_waits_for_every_port_that_has_edges() -> None:
    run = Run(["a", "b", "c"], ["a.out > c.a", "b.out > c.b"])
    assert run.start() == ["a", "b"]
    assert run.complete("a") == []
    assert run.complete("b") == ["c"]


def test_a_port_waits_for_one_of_its_edges() -> None:
    run = Run(["a", "b", "c"], ["a.out > c.a", "b.out > c.a"])
    run.start()
    assert run.complete("b") == ["c"]
    assert run.complete("a") == []


def test_a_place_inside_a_port_waits_like_a_port() -> None:
    run = Run(["a", "b", "c"], ["a.out > c.parts.x", "b.out > c.parts.y"])
    run.start()
    assert run.complete("b", out=2) == []
    assert run.complete("a", out=1) == ["c"]
    assert run.inputs("c")["parts"] == {"x": 1, "y": 2}


def test_a_node_of_a_cycle_runs_once() -> None:
    run = Run(["in", "a", "b"], ["in.out > a.a", "b.out > a.a", "a.out > b.a"])
    assert run.start() == ["in"]
    assert run.complete("in") == ["a"]
    assert run.complete("a") == ["b"]
    assert run.complete("b") == []
    assert run.engine.verdict() == Completion()


def test_a_cycle_that_nothing_set_going_is_skipped_at_the_end() -> None:
    run = Run(["in", "a", "b"], ["in.out > a.a", "b.out > a.a", "a.out > b.a"], CONTINUE)
    run.start()
    run.fail("in")
    assert run.engine.verdict() == Completion()
    assert (run.status("a"), run.status("b")) == ("skipped", "skipped")
    assert run.engine.verdict() == Completion()


# -- rule 2


def test_a_completed_node_resolves_all_but_its_error_ports() -> None:
    run = Run(
        ["a", "out", "kept", "success", "error", "message"],
        [
            "a.out > out.a",
            "a.kept > kept.a",
            "a.__success > success.a",
            "a.__error > error.a",
            "a.__errorMessage > message.a",
        ],
    )
    run.start()
    assert run.complete("a") == ["out", "kept", "success"]
    assert (run.status("error"), run.status("message")) == ("skipped", "skipped")
    assert run.inputs("kept")["a"] == "kept"
    assert run.inputs("success")["a"] is True


def test_a_failed_node_resolves_its_error_ports_alone() -> None:
    run = Run(
        ["a", "out", "success", "error", "message"],
        [
            "a.out > out.a",
            "a.__success > success.a",
            "a.__error > error.a",
            "a.__errorMessage > message.a",
        ],
    )
    run.start()
    assert run.fail("a") == ["error", "message"]
    assert (run.status("out"), run.status("success")) == ("skipped", "skipped")
    assert run.inputs("error")["a"] is True
    assert run.inputs("message")["a"] == "broken"


def test_a_skipped_node_resolves_nothing() -> None:
    run = Run(
        [node("a", values={"__execute": False}), "out", "error"],
        ["a.out > out.a", "a.__error > error.a"],
    )
    assert run.start() == []
    assert (run.status("a"), run.status("out"), run.status("error")) == ("skipped",) * 3


def test_a_passthrough_hands_on_what_an_edge_delivered() -> None:
    run = Run(["a", "b", "c"], ["a.out > b.kept", "b.kept > c.a"])
    run.start()
    run.complete("a", out=[1])
    run.complete("b")
    assert run.inputs("c")["a"] == [1]


def test_an_output_that_was_not_set_is_null() -> None:
    run = Run(["a"])
    run.start()
    run.engine.complete(0, {"flag": True}, 0)
    assert run.engine.own_outputs(0) == {
        "kept": "kept",
        "out": None,
        "flag": True,
        "items": None,
    }


# -- rule 3


def test_the_first_edge_in_document_order_among_the_resolved_delivers() -> None:
    run = Run(
        ["a", "b", "c", "d", "m"],
        ["a.out > m.a", "b.out > m.a", "c.out > m.a", "d.out > m.b"],
    )
    run.start()
    run.complete("c", out="c")
    run.complete("b", out="b")
    assert run.complete("d") == ["m"]
    run.complete("a", out="a")
    assert run.inputs("m")["a"] == "b"
    assert run.engine.chosen_edges(run.index["m"]) == [1, 3]


def test_two_edges_of_one_source_resolve_together() -> None:
    run = Run(["a", "m"], ["a.out > m.a", "a.flag > m.a"])
    run.start()
    run.complete("a", out="first", flag=True)
    assert run.inputs("m")["a"] == "first"


def test_what_resolves_after_a_node_is_ready_changes_nothing() -> None:
    run = Run(["x", "a", "b", "m"], ["a.out > m.a", "b.out > m.a"], RunOptions(max_concurrency=3))
    assert run.start() == ["x", "a", "b"]
    run.engine.complete(run.index["b"], {"out": "b"}, 0)
    run.engine.complete(run.index["a"], {"out": "a"}, 0)
    assert run.start() == ["m"]
    assert run.inputs("m")["a"] == "b"


# -- rule 4


@pytest.mark.parametrize(("flag", "status"), [(True, "executing"), (False, "skipped")])
def test_execute_decides_whether_a_node_runs(flag: bool, status: str) -> None:
    run = Run(["a", "b"], ["a.flag > b.__execute"])
    run.start()
    run.complete("a", flag=flag)
    assert run.status("b") == status


def test_execute_is_read_after_every_port_is_resolved() -> None:
    run = Run(["a", "b", "c"], ["a.flag > c.__execute", "b.out > c.a"])
    run.start()
    run.complete("a", flag=False)
    assert run.status("c") == "initialized"
    run.complete("b")
    assert run.reason("c") == "__execute is not true"


def test_execute_may_be_set_for_one_run() -> None:
    run = Run(["a", "b"], inputs={0: {"__execute": False}})
    assert run.start() == ["b"]


def test_an_error_may_set_a_node_going() -> None:
    run = Run(["a", "b"], ["a.__error > b.__execute"])
    run.start()
    assert run.fail("a") == ["b"]


# -- rule 5


def test_a_node_is_skipped_once_a_port_can_not_be_fed() -> None:
    run = Run(
        ["a", "b", "slow", "m", "after"],
        ["a.out > m.a", "b.out > m.a", "slow.out > m.b", "m.out > after.a"],
        CONTINUE,
    )
    run.start()
    run.fail("a")
    assert run.status("m") == "initialized"
    run.fail("b")
    skips = {e.data["nodeId"]: e.data["reason"] for e in run.told(EventType.NODE_SKIPPED)}
    assert skips == {
        "m": "no source of port 'a' was resolved",
        "after": "no source of port 'a' was resolved",
    }
    assert run.status("slow") == "executing"


def test_a_nested_port_is_named_by_its_path() -> None:
    run = Run(["a", "b"], ["a.out > b.parts.y.z"], CONTINUE)
    run.start()
    run.fail("a")
    assert run.reason("b") == "no source of port 'parts.y.z' was resolved"


def test_null_overwrites_what_is_stored() -> None:
    run = Run(["a", node("b", values={"a": "stored"})], ["a.out > b.a"])
    run.start()
    assert run.complete("a", out=None) == ["b"]
    assert run.inputs("b")["a"] is None


def test_null_into_a_required_port_skips_the_node() -> None:
    run = Run(["a", "b", "c"], ["a.out > b.need", "b.out > c.a"])
    run.start()
    assert run.complete("a", out=None) == []
    events = run.engine.take_events()
    (failed,) = [event for event in events if event.type is EventType.EDGE_TRANSFER_FAILED]
    assert failed.data["targetNodeId"] == "b"
    assert failed.data["targetPortId"] == "need"
    assert failed.data["error"] == "null into the required port 'need'"
    assert (run.status("b"), run.status("c")) == ("skipped", "skipped")


@pytest.mark.parametrize("value", [0, False, "", [], {}])
def test_a_falsy_value_is_a_value(value: Any) -> None:
    run = Run(["a", "b"], ["a.out > b.need"])
    run.start()
    assert run.complete("a", out=value) == ["b"]
    assert run.inputs("b")["need"] == value


def test_a_value_crosses_an_edge_as_a_copy() -> None:
    run = Run(["a", "b", "c"], ["a.out > b.a", "a.out > c.a"])
    run.start()
    run.complete("a", out={"list": [1]})
    run.inputs("b")["a"]["list"].append(2)
    assert run.inputs("c")["a"] == {"list": [1]}
    assert run.engine.own_outputs(0)["out"] == {"list": [1]}


def test_an_object_into_an_object_keeps_the_keys_that_it_lacks() -> None:
    run = Run(["a", node("b", values={"parts": {"x": {"k": 1, "l": 2}}})], ["a.out > b.parts.x"])
    run.start()
    run.complete("a", out={"l": 3})
    assert run.inputs("b")["parts"] == {"x": {"k": 1, "l": 3}}


def test_inputs_of_the_run_lie_between_stored_values_and_edges() -> None:
    run = Run(
        ["a", node("b", values={"a": "stored", "b": "stored", "kept": "stored"})],
        ["a.out > b.a"],
        inputs={1: {"a": "given", "b": "given"}},
    )
    run.start()
    run.complete("a", out="edge")
    given = run.inputs("b")
    assert (given["a"], given["b"], given["kept"]) == ("edge", "given", "stored")


def test_inputs_of_a_node_that_never_began_leave_its_open_ports_as_they_are() -> None:
    run = Run(["a", "b", "c"], ["a.out > c.a", "b.out > c.b"])
    run.start()
    run.complete("a", out=1)
    assert (run.inputs("c")["a"], run.inputs("c")["b"]) == (1, None)


# -- rule 6


def test_an_unhandled_failure_starts_nothing_more_and_lets_the_rest_finish() -> None:
    run = Run(["a", "b", "c", "d"], ["a.out > c.a", "b.out > d.a"])
    run.start()
    run.fail("a")
    assert run.engine.verdict() is None
    assert run.complete("b") == []
    assert run.engine.verdict() == Failure("a", BROKEN)
    assert (run.status("b"), run.status("d")) == ("completed", "initialized")


def test_the_first_unhandled_failure_is_the_runs() -> None:
    run = Run(["a", "b"])
    run.start()
    run.fail("b")
    run.fail("a")
    assert run.engine.verdict() == Failure("b", BROKEN)


@pytest.mark.parametrize("port", ["__error", "__errorMessage"])
def test_an_edge_from_an_error_port_handles_the_failure(port: str) -> None:
    run = Run(["a", "b", "c"], [f"a.{port} > b.a"])
    run.start()
    assert run.fail("a") == ["b"]
    run.complete("b")
    run.complete("c")
    assert run.engine.verdict() == Completion()


def test_continue_runs_the_rest_on() -> None:
    run = Run(["a", "b", "c"], ["b.out > c.a"], CONTINUE)
    run.start()
    run.fail("a")
    assert run.complete("b") == ["c"]
    run.complete("c")
    assert run.engine.verdict() == Completion()
    assert run.engine.failures == {0: BROKEN}


# -- rule 7


def test_a_failed_attempt_waits_and_starts_again() -> None:
    run = Run(["a", "b"], ["a.out > b.a"])
    run.start()
    run.engine.defer(0, BROKEN, 0, RETRY_AT)
    assert run.status("a") == "waiting"
    assert run.start() == []
    assert run.engine.verdict() is None
    run.engine.retry(0)
    assert run.start() == ["a"]
    assert run.engine.attempts[0] == 2
    assert run.complete("a") == ["b"]


def test_a_suspended_node_completes_without_starting_again() -> None:
    run = Run(["a", "b"], ["a.out > b.a"])
    run.start()
    run.engine.suspend(0)
    assert run.status("a") == "waiting"
    assert run.start() == []
    assert run.engine.verdict() is None

    assert run.complete("a") == ["b"]
    assert (run.engine.attempts[0], run.engine.waiting) == (1, set())


def test_a_restored_sleep_waits_on() -> None:
    engine = engine_of(["n"])
    engine.restore([Checkpoint("n", NodeStatus.WAITING, 1)], {})

    assert (engine.waiting, engine.next_start(), engine.verdict()) == ({0}, None, None)
    engine.complete(0, {}, 5)
    assert engine.verdict() == Completion()


def test_a_waiting_node_takes_no_place() -> None:
    run = Run(["a", "b"], options=RunOptions(max_concurrency=1))
    assert run.start() == ["a"]
    run.engine.defer(0, BROKEN, 0, RETRY_AT)
    assert run.start() == ["b"]


def test_nothing_is_tried_again_after_an_unhandled_failure() -> None:
    run = Run(["a", "b"])
    run.start()
    run.engine.defer(0, BROKEN, 0, RETRY_AT)
    run.fail("b")
    run.engine.retry(0)
    assert run.start() == []
    assert run.engine.verdict() == Failure("b", BROKEN)


# -- rule 9


def test_ready_nodes_start_in_document_order() -> None:
    run = Run(["c", "z", "a", "b"], ["z.out > c.a"], RunOptions(max_concurrency=2))
    assert run.start() == ["z", "a"]
    assert run.complete("z") == ["c"]
    assert run.complete("a") == ["b"]


@pytest.mark.parametrize("limit", [1, 3, 5])
def test_no_more_nodes_run_at_once_than_allowed(limit: int) -> None:
    run = Run([f"n{number}" for number in range(5)], options=RunOptions(max_concurrency=limit))
    assert len(run.start()) == limit
    assert run.engine.next_start() is None
    while run.engine.running:
        run.complete(run.engine.plan.nodes[min(run.engine.running)].id)
        assert len(run.engine.running) <= limit
    assert run.engine.tally.completed == 5


# -- templates (rule 10)


def held(node_id: str, **values: Any) -> dict[str, Any]:
    return node(node_id, metadata={"parentNodeId": "holder"}, values=values)


def test_a_child_of_what_is_no_group_counts_as_completed_without_running() -> None:
    run = Run(
        [held("t", kept="stored"), "holder", "b"],
        ["t.kept > b.a", "t.__success > b.__execute"],
    )
    assert run.start() == ["holder", "b"]
    assert (run.status("t"), run.engine.tally.completed) == ("completed", 1)
    assert run.inputs("b")["a"] == "stored"
    assert all(event.data.get("nodeId") != "t" for event in run.engine.take_events())


def test_a_template_hands_on_what_the_run_is_given() -> None:
    run = Run([held("t", kept="stored"), "holder"], inputs={0: {"kept": "given"}})
    assert run.engine.own_outputs(0)["kept"] == "given"


def test_no_template_completes_before_another() -> None:
    run = Run(
        [held("t1", kept=1), held("t2", kept=2), "holder", "m"],
        ["t2.kept > m.a", "t1.kept > m.a"],
    )
    run.start()
    assert run.inputs("m")["a"] == 2


def test_what_only_a_templates_error_feeds_is_skipped() -> None:
    run = Run([held("t"), "holder", "b"], ["t.__error > b.a"])
    assert run.start() == ["holder"]
    assert run.status("b") == "skipped"


def test_a_parent_that_does_not_exist_is_no_parent() -> None:
    assert Run([node("a", metadata={"parentNodeId": "gone"})]).start() == ["a"]


# -- taking up


def test_a_node_that_waited_for_the_attempt_that_was_cut_off_starts_again() -> None:
    engine = engine_of(["a"])
    engine.restore([Checkpoint("a", NodeStatus.WAITING, 1, error=BROKEN)], {"a": 2})
    assert engine.waiting == set()
    start = engine.start_next()
    assert start is not None
    assert start.attempt == 3


# -- rule 10: groups


def test_a_group_completes_after_its_children_in_whatever_way_they_settle() -> None:
    nodes = [group("g"), inside("a", "g"), inside("b", "g"), inside("c", "g"), "after"]
    run = Run(nodes, ["a.__error > c.a", "g.out > after.a"], CONTINUE)

    assert run.start() == ["a", "b"]
    assert run.complete("a") == []
    assert run.status("c") == "skipped"
    assert run.fail("b") == ["g"]
    assert run.complete("g") == ["after"]


def test_a_group_waits_for_its_own_edges_too() -> None:
    run = Run([group("g"), inside("a", "g"), "before"], ["before.out > g.a"])

    assert run.start() == ["a", "before"]
    assert run.complete("a") == []
    assert run.complete("before") == ["g"]


def test_a_group_whose_port_can_not_be_fed_is_skipped_while_its_children_run() -> None:
    run = Run([group("g"), inside("a", "g"), "before"], ["before.__error > g.a"])

    assert run.start() == ["a", "before"]
    assert run.complete("before") == []
    assert (run.status("g"), run.status("a")) == ("skipped", "executing")
    assert run.complete("a") == []
    assert run.engine.verdict() == Completion()


def test_groups_inside_groups_complete_from_the_inside() -> None:
    nodes = [group("outer"), inside("inner", "outer", type="GroupNode"), inside("a", "inner")]
    run = Run(nodes)

    assert run.start() == ["a"]
    assert run.complete("a") == ["inner"]
    assert run.complete("inner") == ["outer"]


def test_a_group_with_nobody_in_it_takes_no_part() -> None:
    run = Run([group("g"), "a"], ["g.out > a.a"])

    assert (run.status("g"), run.status("a")) == ("idle", "skipped")
    assert run.engine.verdict() == Completion()
    assert run.engine.participation.total == 1


def test_a_group_in_a_template_counts_as_completed_and_its_children_run() -> None:
    parent = node("p", type="HolderNode")
    run = Run([parent, inside("g", "p", type="GroupNode"), inside("a", "g")])

    assert run.status("g") == "completed"
    assert run.start() == ["p", "a"]


def test_a_group_of_a_cycle_that_nothing_set_going_completes_after_it() -> None:
    nodes = ["out", group("g"), inside("a", "g"), inside("b", "g"), "after"]
    edges = ["out.__error > a.a", "b.out > a.a", "a.out > b.a", "g.out > after.a"]
    run = Run(nodes, edges)

    assert run.start() == ["out"]
    assert run.complete("out") == ["g"]
    assert (run.status("a"), run.status("b")) == ("skipped", "skipped")
    assert run.complete("g") == ["after"]


def test_a_child_that_only_its_own_group_would_feed_is_skipped() -> None:
    nodes = ["out", group("g"), inside("a", "g")]
    run = Run(nodes, ["out.__error > a.a", "g.out > a.a"])

    assert run.start() == ["out"]
    assert run.complete("out") == ["g"]
    assert run.status("a") == "skipped"
    assert run.complete("g") == []
    assert run.engine.verdict() == Completion()


def test_groups_within_groups_that_are_skipped_do_not_deepen_the_stack() -> None:
    depth = 5_000
    refused = {"__execute": False}
    nodes = [group("g0", values=refused)]
    nodes += [
        inside(f"g{n}", f"g{n - 1}", type="GroupNode", values=refused) for n in range(1, depth)
    ]
    run = Run([*nodes, inside("a", f"g{depth - 1}")])

    assert run.start() == ["a"]
    assert run.complete("a") == []
    assert run.engine.tally.skipped == depth


# -- events from outside

#: Two parts with a feeder each, a feeder that both share, and a node outside of them.
PARTS: list[str | dict[str, Any]] = [
    "up", listener("on", "x"), "behind", "feeder", "feeds", listener("other", "y"), "end", "shared",
    "loose",
]  # fmt: skip
PART_EDGES = [
    "up.out > on.a",
    "on.out > behind.a",
    "feeder.out > feeds.a",
    "feeds.out > behind.b",
    "other.out > end.a",
    "shared.out > end.b",
    "shared.out > behind.need",
]


def idle_nodes(run: Run) -> set[str]:
    return {node_id for node_id in run.index if run.status(node_id) == "idle"}


@pytest.mark.parametrize(
    ("event", "idle"),
    [
        (None, {"up", "on", "behind", "feeder", "feeds", "other", "end", "shared"}),
        ("x", {"other", "end", "loose"}),
        ("y", {"up", "on", "behind", "feeder", "feeds", "loose"}),
    ],
)
def test_only_what_is_bound_to_the_event_takes_part(event: str | None, idle: set[str]) -> None:
    run = Run(PARTS, PART_EDGES, event=event)

    assert idle_nodes(run) == idle
    assert run.engine.participation.total == len(PARTS) - len(idle)


def test_an_event_that_nothing_listens_for_runs_nothing() -> None:
    run = Run(PARTS, PART_EDGES, event="z")

    assert idle_nodes(run) == set(run.index)
    assert run.engine.verdict() == Completion()


def test_a_listener_of_another_event_feeds_nobody() -> None:
    run = Run(
        [listener("x", "x"), listener("y", "y"), "both"],
        ["x.out > both.a", "y.out > both.b"],
        event="x",
    )

    assert (run.status("y"), run.status("both")) == ("idle", "skipped")
    assert run.start() == ["x"]


def test_the_walk_to_the_feeders_does_not_cross_other_listeners() -> None:
    nodes = [listener("x", "x"), "behind", listener("y", "y"), "before-y"]
    run = Run(nodes, ["x.out > behind.a", "y.out > behind.b", "before-y.out > y.a"], event="x")

    assert idle_nodes(run) == {"y", "before-y"}


def test_a_group_takes_part_if_one_of_its_children_does() -> None:
    nodes = [group("g"), inside("a", "g"), listener("x", "x"), "behind", group("h")]
    nodes[3] = inside("behind", "h")
    without, within = (Run(nodes, ["x.out > behind.a"], event=event) for event in (None, "x"))

    assert idle_nodes(without) == {"x", "behind", "h"}
    assert idle_nodes(within) == {"g", "a"}


def test_a_template_that_takes_no_part_feeds_nobody() -> None:
    nodes = [node("p", type="HolderNode"), inside("t", "p"), "after", listener("x", "x")]
    run = Run(nodes, ["t.out > after.a"], event="x")

    assert idle_nodes(run) == {"p", "t", "after"}
    assert run.start() == ["x"]


def test_a_run_that_has_lost_count_says_so_and_does_not_turn_for_ever() -> None:
    engine = engine_of(["a", "b"], ["a.out > b.a"])
    engine.begin()
    engine.start_next()
    engine.complete(0, {"out": 1}, 0)
    engine.start_next()
    engine.complete(1, {"out": 1}, 0)
    engine.tally.completed -= 1

    with pytest.raises(AssertionError, match="1 nodes are unsettled, and none can be skipped"):
        engine._propagation.skip_the_unfed()
