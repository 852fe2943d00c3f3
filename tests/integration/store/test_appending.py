"""The suite that every store passes: events from outside of a run."""

from __future__ import annotations

import pytest

from app.store.appending import EventAppender
from app.store.protocol import RunStore
from app.store.records import Claimed, Written
from tests.integration.store.boundaries import DONE, boundary, checkpoint, claim, write
from tests.world import World

LOG = [("node:debug-log-string", '{"nodeId":"a","log":"hi"}')] * 2
STEP = boundary("node:completed", "node:started", checkpoints=[checkpoint()])


@pytest.fixture
def appender(world: World) -> EventAppender:
    return EventAppender(world.database)


@pytest.fixture
def claimed(store: RunStore, world: World) -> Claimed:
    claimed = claim(store, world.create())
    write(store, claimed, 0, boundary("flow:started"))
    return claimed


def test_events_from_outside_stand_between_those_of_the_run(
    store: RunStore, world: World, claimed: Claimed, appender: EventAppender
) -> None:
    execution = claimed.fence.execution_id

    appended = appender.append(execution, LOG)

    assert appended is not None
    assert appended.first_index == 1
    assert write(store, claimed, 1, STEP).first_index == 3
    assert [index for index, _, _ in world.events(execution)] == list(range(-1, 5))
    assert world.events(execution)[2] == (1, *LOG[0])


def test_nothing_is_appended_after_the_end(
    store: RunStore, world: World, claimed: Claimed, appender: EventAppender
) -> None:
    write(store, claimed, 1, DONE)
    before = world.events(claimed.fence.execution_id)

    assert appender.append(claimed.fence.execution_id, LOG) is None
    assert appender.append("EXunknown", LOG) is None

    assert world.events(claimed.fence.execution_id) == before


@pytest.mark.parametrize("lost", [STEP, boundary()], ids=["events", "none"])
def test_a_lost_write_is_found_where_it_stands(
    store: RunStore, claimed: Claimed, appender: EventAppender, lost: object
) -> None:
    assert isinstance(lost, type(STEP))
    done = write(store, claimed, 1, lost)
    assert appender.append(claimed.fence.execution_id, LOG) is not None

    settled = store.settle_unknown(claimed.fence, claimed.writes + 1, lost)

    assert isinstance(settled, Written)
    assert settled.at == done.at
    assert settled.first_index == done.first_index or not lost.events
