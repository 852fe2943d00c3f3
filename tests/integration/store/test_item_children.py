"""The suite that every store passes: the children that a node makes for its items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from app.store.family_statements import READ_TOGETHER
from app.store.protocol import RunStore
from app.store.records import Claimed, Family
from tests.integration.store.boundaries import DONE, boundary, checkpoint, claim, write
from tests.integration.store.test_families import child
from tests.world import World


@pytest.fixture
def parent(store: RunStore, world: World) -> Claimed:
    """A parent of which one node has made three children, and another one."""
    claimed = claim(store, world.create())
    made = [child(number, "each", counts=False, inputs='{"n":1}') for number in range(3)]
    other = child(7, "other", ordinal=0)
    family = Family([*made, other], counted=1)
    write(store, claimed, 0, boundary("child:spawned", family=family))
    return claimed


def ended(
    store: RunStore, parent: Claimed, first: int, limit: int
) -> Sequence[tuple[Any, Sequence[Any]]]:
    return store.ended_children(parent.fence.execution_id, "each", first, limit)


def test_what_a_node_has_made_is_counted(world: World, store: RunStore, parent: Claimed) -> None:
    id_ = parent.fence.execution_id

    assert store.children_made(id_, "each") == 3
    assert store.children_made(id_, "other") == 1
    assert store.children_made(id_, "none") == 0
    assert world.row(id_).children == 1


def test_children_are_read_in_order_with_their_checkpoints(
    world: World, store: RunStore, parent: Claimed
) -> None:
    runs = world.open()
    second = claim(runs, "EXchild1", "w2")
    rows = [checkpoint("b", seq=0), checkpoint("a", seq=1, outputs='{"text":"Bo"}')]
    write(runs, second, 0, boundary("node:completed", checkpoints=rows))
    write(runs, second, 1, DONE)
    world.commands().stop("EXchild2", "enough")

    found = ended(store, parent, 0, 10)

    assert [(row.ordinal, row.id, row.status, row.error_message) for row, _ in found] == [
        (0, "EXchild0", "created", None),
        (1, "EXchild1", "completed", None),
        (2, "EXchild2", "stopped", "enough"),
    ]
    [(_, none), (row, stored), _] = found
    assert none == []
    assert row.inputs == '{"n":1}'
    assert row.started_at is not None
    assert [(each.node_id, each.status, each.outputs) for each in stored] == [
        ("b", "completed", '{"text":"Ada"}'),
        ("a", "completed", '{"text":"Bo"}'),
    ]


def test_large_children_are_read_in_smaller_parts(
    world: World, store: RunStore, parent: Claimed
) -> None:
    """What a reader holds at a time is bounded by what one of them gave."""
    runs = world.open()
    for number in range(3):
        each = claim(runs, f"EXchild{number}", "w2")
        text = "x" * (READ_TOGETHER * 2 // 3)
        rows = [checkpoint("a", seq=0, outputs=f'{{"text":"{text}"}}')]
        write(runs, each, 0, boundary("node:completed", checkpoints=rows))

    assert [row.ordinal for row, _ in ended(store, parent, 0, 10)] == [0, 1]
    assert [row.ordinal for row, _ in ended(store, parent, 2, 10)] == [2]


@pytest.mark.parametrize("flow_id", ["V2none", "V2\x00", "V2\ud800"])
def test_a_flow_that_no_text_of_the_store_can_name_is_none(store: RunStore, flow_id: str) -> None:
    assert store.flow_head(flow_id) is None


def test_they_are_read_in_parts(store: RunStore, parent: Claimed) -> None:
    assert [row.ordinal for row, _ in ended(store, parent, 1, 1)] == [1]
    assert [row.ordinal for row, _ in ended(store, parent, 2, 5)] == [2]
    assert ended(store, parent, 3, 5) == []
