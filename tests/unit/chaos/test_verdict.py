"""The verdict on a time of chaos bites: each promise is broken on paper here, and that is found."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.evidence import Answer, Evidence, Quiet, Row, Sightings, Story, Watch
from tests.chaos.flows import Kind, all_completed
from tests.chaos.verdict import JUDGES, faults

PARENT, CHILD = "EX1", "EX2"
#: When it all was, in seconds since the epoch, and as an event writes it.
THEN = 1_700_000_000.0
AT = "2023-11-14T22:13:20.000Z"

KINDS = {
    "emitting": Kind(
        "emitting",
        "V2emitting",
        {
            None: {"a": "completed", "emit": "completed"},
            "job": {"on": "completed", "z": "completed"},
        },
        children={None: 1},
        values=[("a", "statusCode", 200)],
    ),
    "row": Kind("row", "V2row", all_completed("a")),
}

Doctor = Callable[[Evidence], object]


def event(index: int, type_: str, node: str = "", **data: Any) -> dict[str, Any]:
    named = {"nodeId": node} if node else {}
    return {"index": index, "type": type_, "timestamp": AT, "data": named | data}


def started(index: int, node: str, attempt: int = 1) -> dict[str, Any]:
    return event(index, "node:started", node, nodeType="HttpRequestNode", attempt=attempt)


def completed(index: int, node: str, **outputs: Any) -> dict[str, Any]:
    return event(index, "node:completed", node, outputs=outputs)


def story(
    id_: str, flow_id: str, events: list[dict[str, Any]], *, parent: str | None = None
) -> Story:
    by = [{"eventName": "job"}] if parent else None
    nodes = {
        each["data"]["nodeId"]: {
            "status": "completed",
            "attempt": 1,
            "outputs": {"statusCode": 200},
        }
        for each in events
        if each["type"] == "node:completed"
    }
    return Story(
        Row(id_, flow_id, "completed", parent, PARENT, None, THEN - 9, THEN),
        {
            "status": "completed",
            "lastEventIndex": events[-1]["index"],
            "externalEvents": by,
            "startedAt": AT,
            "errorMessage": None,
            "waiting": None,
        },
        events,
        nodes,
        [(each["index"], each["type"], each["data"]) for each in events],
        [],
    )


def of_parent() -> Story:
    return story(
        PARENT,
        "V2emitting",
        [
            event(-1, "execution:created"),
            started(0, "a"),
            completed(1, "a"),
            event(2, "node:started", "emit", nodeType="EventEmitterNode", attempt=1),
            completed(3, "emit"),
            event(4, "child:spawned", childExecutionId=CHILD),
            event(5, "flow:paused"),
            event(6, "flow:resumed"),
            event(7, "child:completed", childExecutionId=CHILD),
            event(8, "execution:completed"),
        ],
    )


def of_child() -> Story:
    return story(
        CHILD,
        "V2emitting",
        [
            event(-1, "execution:created"),
            event(0, "node:started", "on", nodeType="EventListenerNodeV2", attempt=1),
            completed(1, "on", payload={"n": 1}, timedOut=False),
            started(2, "z"),
            completed(3, "z"),
            event(4, "execution:completed"),
        ],
        parent=PARENT,
    )


def shown(status: str, index: int) -> dict[str, Any]:
    return {"status": status, "lastEventIndex": index}


@pytest.fixture
def evidence() -> Evidence:
    """Of a parent and its child, with which nothing is wrong."""
    parent, child = of_parent(), of_child()
    finals: dict[str, tuple[object, ...]] = {PARENT: ("completed", 1, 8, THEN)}
    checkpoints: dict[tuple[str, str], tuple[object, ...]] = {(PARENT, "a"): (1, 1, "hash", THEN)}
    return Evidence(
        kinds=KINDS,
        created=[PARENT],
        stories={PARENT: parent, CHILD: child},
        answers=[
            Answer(PARENT, "start", THEN - 8, None, shown("created", -1)),
            Answer(PARENT, "pause", THEN - 6, None, shown("running", 4)),
            Answer(PARENT, "resume", THEN - 5, shown("paused", 5), shown("running", 6)),
            Answer(CHILD, "signal", THEN - 4, None, {"delivered": "on"}, {"n": 1}),
        ],
        watches=[Watch(PARENT, {each["index"]: each for each in parent.events}, ["completed"])],
        effects={PARENT: {"a": [THEN - 7]}, CHILD: {"z": [THEN - 3]}},
        sightings=Sightings(
            owners={(PARENT, "", 0, 1): {"worker1"}},
            finals=copy.copy(finals),
            checkpoints=copy.copy(checkpoints),
            most_claimed=2,
        ),
        finals=finals,
        checkpoints=checkpoints,
        frozen=[],
        quiet=Quiet(waiting=50, claims=0, slots=0, active=0, connections=12),
        limit=2,
    )


def test_nothing_is_wrong_with_what_went_well(evidence: Evidence) -> None:
    assert faults(evidence) == []


# -- what is done to the evidence


def is_left_running(it: Evidence) -> None:
    change_row(it, CHILD, status="running", completed_at=None)


def is_gone(it: Evidence) -> None:
    it.created.append("EX3")


def starts_again(it: Evidence) -> None:
    extend(it, CHILD, started(0, "z", attempt=2))
    it.stories[CHILD].nodes["z"]["attempt"] = 2
    it.stories[CHILD].recoveries.append("worker_died")


def starts_after_its_failure(it: Evidence) -> None:
    extend(it, CHILD, event(0, "node:failed", "y", willRetry=False), started(0, "y"))


def starts_what_it_took_over(it: Evidence) -> None:
    it.stories[CHILD].events[0]["data"]["takenOver"] = ["z"]


def has_two_owners(it: Evidence) -> None:
    it.sightings.owners[PARENT, "", 0, 1].add("worker2")


def goes_back(it: Evidence) -> None:
    it.sightings.retreats.append("EX1: epoch 2, then 1")


def writes_a_checkpoint_again(it: Evidence) -> None:
    it.sightings.checkpoints[PARENT, "a"] = (1, 1, "another", THEN)


def is_claimed_too_often(it: Evidence) -> None:
    it.sightings.most_claimed = 3


def skips_an_attempt(it: Evidence) -> None:
    it.stories[CHILD].events[3]["data"]["attempt"] = 2
    it.stories[CHILD].nodes["z"]["attempt"] = 2


def has_a_gap(it: Evidence) -> None:
    del it.stories[CHILD].events[2]
    del it.stories[CHILD].log[2]


def reads_otherwise(it: Evidence) -> None:
    it.watches[0].events[3] = completed(3, "emit", other=1)


def is_read_in_part(it: Evidence) -> None:
    del it.watches[0].events[3]


def holds_other_events(it: Evidence) -> None:
    it.stories[CHILD].log[0] = (-1, "execution:created", {"other": 1})


def goes_on_after_its_end(it: Evidence) -> None:
    extend(it, CHILD, event(0, "node:progress", "z"), at_the_end=True)


def ends_twice(it: Evidence) -> None:
    extend(it, CHILD, event(0, "execution:completed"), at_the_end=True)


def changes_its_end(it: Evidence) -> None:
    it.sightings.finals[PARENT] = ("stopped", 1, 8, THEN)


def is_told_another_end(it: Evidence) -> None:
    it.watches[0].ends = ["completed", "completed"]


def is_never_paused(it: Evidence) -> None:
    it.answers[1] = replace(it.answers[1], shown=shown("running", 5))


def is_never_resumed(it: Evidence) -> None:
    it.answers[2] = replace(it.answers[2], before=shown("paused", 6))


def is_never_started(it: Evidence) -> None:
    it.stories[PARENT].shown = {**it.stories[PARENT].shown, "startedAt": None}


def is_never_stopped(it: Evidence) -> None:
    it.answers.append(Answer(CHILD, "stop", THEN + 9, None, shown("stopped", 4)))


def is_never_stopped_with_others(it: Evidence) -> None:
    it.answers.append(Answer(CHILD, "bulk-stop", THEN + 9, None, {}))


def loses_a_signal(it: Evidence) -> None:
    it.answers[3] = replace(it.answers[3], payload={"n": 2})


def is_never_recovered(it: Evidence) -> None:
    it.answers.append(Answer(PARENT, "recover", THEN - 5, None, shown("running", 5)))


def is_created_twice(it: Evidence) -> None:
    it.stories["EX3"] = story("EX3", "V2row", [*of_child().events[:1], *of_child().events[-1:]])
    it.stories["EX3"].events[1]["index"] = 0
    it.stories["EX3"].log[1] = (0, *it.stories["EX3"].log[1][1:])
    it.stories["EX3"].shown = {**it.stories["EX3"].shown, "lastEventIndex": 0}


def is_granted_after_a_stop(it: Evidence) -> None:
    stop(it, THEN - 1)
    for each in it.stories.values():
        change_row(it, each.id, status="stopped", completed_at=THEN - 2)


def is_made_after_a_stop(it: Evidence) -> None:
    stop(it, THEN + 1)
    change_row(it, CHILD, created_at=THEN + 2)


def ends_after_a_stop(it: Evidence) -> None:
    stop(it, THEN + 1)
    change_row(it, CHILD, completed_at=THEN + 2)


def has_its_effect_after_a_stop(it: Evidence) -> None:
    stop(it, THEN + 1)
    it.effects = {**it.effects, CHILD: {"z": [THEN + 9]}}


def has_no_effect(it: Evidence) -> None:
    it.effects = {PARENT: it.effects[PARENT]}


def has_an_effect_for_nothing(it: Evidence) -> None:
    it.effects = {**it.effects, "EX9": {"a": [THEN]}}


def has_more_effects_than_attempts(it: Evidence) -> None:
    it.effects = {**it.effects, CHILD: {"z": [THEN - 4, THEN - 3]}}
    it.stories[CHILD].recoveries.append("worker_died")


def waits_and_is_claimed(it: Evidence) -> None:
    it.sightings.idle_owners.add(PARENT)


def holds_claims(it: Evidence) -> None:
    it.quiet = Quiet(waiting=50, claims=1, slots=0, active=0, connections=12)


def holds_connections(it: Evidence) -> None:
    it.quiet = Quiet(waiting=50, claims=0, slots=0, active=0, connections=50)


def leaves_claims(it: Evidence) -> None:
    it.claims_left = 1


def fails(it: Evidence) -> None:
    end_otherwise(it, CHILD, "failed")


def ends_in_another_way(it: Evidence) -> None:
    it.stories[CHILD].nodes["z"]["status"] = "skipped"


def gives_another_value(it: Evidence) -> None:
    it.stories[PARENT].nodes["a"]["outputs"] = {"statusCode": 500}


def starts_twice_for_nothing(it: Evidence) -> None:
    events = it.stories[CHILD].events
    extend(it, CHILD, started(0, "z", attempt=2), place=events.index(completed(3, "z")))
    it.stories[CHILD].nodes["z"]["attempt"] = 2


def has_two_effects_for_nothing(it: Evidence) -> None:
    starts_twice_for_nothing(it)
    it.effects = {**it.effects, CHILD: {"z": [THEN - 4, THEN - 3]}}


def makes_another_child(it: Evidence) -> None:
    twin = story("EX3", "V2emitting", of_child().events, parent=PARENT)
    it.stories["EX3"] = twin
    it.effects = {**it.effects, "EX3": {"z": [THEN - 3]}}


def tells_of_its_child_twice(it: Evidence) -> None:
    told = event(0, "child:completed", childExecutionId=CHILD)
    extend(it, PARENT, told, place=len(it.stories[PARENT].events) - 1)
    it.watches.clear()


BROKEN: list[tuple[int, Doctor]] = [
    (1, is_left_running),
    (1, is_gone),
    (2, starts_again),
    (2, starts_after_its_failure),
    (2, starts_what_it_took_over),
    (3, has_two_owners),
    (3, goes_back),
    (3, writes_a_checkpoint_again),
    (3, is_claimed_too_often),
    (3, skips_an_attempt),
    (4, has_a_gap),
    (4, reads_otherwise),
    (4, is_read_in_part),
    (4, holds_other_events),
    (5, goes_on_after_its_end),
    (5, ends_twice),
    (5, changes_its_end),
    (5, is_told_another_end),
    (6, is_never_paused),
    (6, is_never_resumed),
    (6, is_never_started),
    (6, is_never_stopped),
    (6, is_never_stopped_with_others),
    (6, loses_a_signal),
    (6, is_never_recovered),
    (6, is_created_twice),
    (7, is_granted_after_a_stop),
    (7, is_made_after_a_stop),
    (7, ends_after_a_stop),
    (7, has_its_effect_after_a_stop),
    (8, has_no_effect),
    (8, has_an_effect_for_nothing),
    (8, has_more_effects_than_attempts),
    (9, waits_and_is_claimed),
    (9, holds_claims),
    (9, holds_connections),
    (9, leaves_claims),
    (10, fails),
    (10, ends_in_another_way),
    (10, gives_another_value),
    (10, starts_twice_for_nothing),
    (10, has_two_effects_for_nothing),
    (11, makes_another_child),
    (11, tells_of_its_child_twice),
]


@pytest.mark.parametrize(
    ("promise", "doctor"), BROKEN, ids=lambda each: getattr(each, "__name__", str(each))
)
def test_a_promise_that_is_broken_is_found(
    evidence: Evidence, promise: int, doctor: Doctor
) -> None:
    doctor(evidence)

    assert list(JUDGES[promise](evidence))


def test_each_promise_is_broken_here() -> None:
    assert {promise for promise, _ in BROKEN} == set(JUDGES) == set(range(1, 12))


def test_what_clients_complain_of_is_a_fault(evidence: Evidence) -> None:
    evidence.complaints += ["4: EX1: event 3 reads otherwise", "/executions was answered with oops"]

    assert [each.promise for each in faults(evidence)] == [4, 0]


def test_a_process_that_was_frozen_may_have_its_effect_late(evidence: Evidence) -> None:
    has_its_effect_after_a_stop(evidence)
    evidence.frozen.append((THEN, THEN + 8))
    end_otherwise(evidence, PARENT, "stopped")

    assert not list(JUDGES[7](evidence))


# -- how


def change_row(it: Evidence, id_: str, **what: Any) -> None:
    it.stories[id_].row = replace(it.stories[id_].row, **what)


def end_otherwise(it: Evidence, id_: str, status: str) -> None:
    """Have it end in another way, and everything tell so."""
    change_row(it, id_, status=status)
    found = it.stories[id_]
    found.shown = {**found.shown, "status": status, "errorMessage": "oops"}
    found.events[-1]["type"] = f"execution:{status}"


def stop(it: Evidence, at: float) -> None:
    it.answers.append(Answer(PARENT, "stop", at, None, shown("stopped", 8)))


def extend(
    it: Evidence,
    id_: str,
    *events: dict[str, Any],
    place: int | None = None,
    at_the_end: bool = False,
) -> None:
    """Put more events into a log, before its last one or elsewhere, and number them anew."""
    found = it.stories[id_]
    if place is None:
        place = len(found.events) - (not at_the_end)
    found.events[place:place] = events
    for number, each in enumerate(found.events):
        each["index"] = number - 1
    found.log = [(each["index"], each["type"], each["data"]) for each in found.events]
    found.shown = {**found.shown, "lastEventIndex": found.events[-1]["index"]}
