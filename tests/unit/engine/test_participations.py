"""Who takes part in the runs for an event is worked out once per plan and name."""

from __future__ import annotations

from app.engine import Wiring, wiring
from tests.unit.engine.graphs import flow, listener, plan_of


def test_the_runs_for_one_event_share_what_was_worked_out() -> None:
    wired = Wiring(plan_of(flow([listener("a", "one"), listener("b", "two"), "c"])))

    assert wired.participation("one").idle == (1, 2)
    assert wired.participation("two").idle == (0, 2)
    assert wired.participation("one") is wired.participation("one")
    assert wired.participation(None) is wired.participation(None)


def test_names_that_nobody_listens_for_share_one_and_no_more() -> None:
    wired = Wiring(plan_of(flow([listener("a", "one"), listener("b", ""), "c"])))

    assert wired.participation("other").idle == (0, 1, 2)
    assert wired.participation("other") is wired.participation("another")
    assert wired.participation("").idle == (0, 2)
    assert wired.participation("one-").idle == (0, 1, 2)


def test_a_flow_without_listeners_has_nobody_for_any_event() -> None:
    wired = Wiring(plan_of(flow(["a"])))
    assert wired.participation("").idle == (0,)
    assert wired.participation("").total == 0


def test_what_is_kept_is_bounded_by_the_nodes_that_it_speaks_of() -> None:
    names = [f"event-{number}" for number in range(1_000)]
    wired = Wiring(plan_of(flow([listener(name, name) for name in names])))
    first = wired.participation(names[0])

    for name in names[1:]:
        wired.participation(name)

    assert len(names) * len(names) > wiring.KEPT_NODES
    assert wired.participation(names[0]) is not first
