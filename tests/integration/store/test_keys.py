"""Creating under an idempotency key, in each store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.store.executions import DuplicateId
from app.store.keys import KeyTable, RequestKey
from tests.memory_world import MemoryWorld
from tests.world import PgWorld

KEY = RequestKey("local", "POST /executions", "k1", "hash")

EitherWorld = PgWorld | MemoryWorld


@pytest.fixture
def keys(world: EitherWorld) -> KeyTable:
    return KeyTable(world.database)


def test_what_is_created_under_a_key_is_known_by_it(world: EitherWorld, keys: KeyTable) -> None:
    assert keys.find(KEY) is None
    rows = [world.new(), world.new()]
    at = keys.create(KEY, rows)
    known = keys.find(KEY)
    assert known is not None
    assert (known.body_hash, list(known.created_ids)) == ("hash", [row.id for row in rows])
    assert [world.row(row.id).created_at for row in rows] == [at, at]
    assert world.events(rows[0].id) == [(-1, "execution:created", '{"flowId":"V2flow"}')]


def test_under_a_key_that_is_taken_nothing_is_created(world: EitherWorld, keys: KeyTable) -> None:
    first, second = world.new(), world.new()
    assert keys.create(KEY, [first]) is not None
    assert keys.create(replace(KEY, body_hash="other"), [second]) is None
    assert [row.id for row in world.table.many([second.id, first.id])] == [first.id]
    for other in (replace(KEY, owner_id="ada"), replace(KEY, route="x"), replace(KEY, key="k2")):
        assert keys.find(other) is None
        assert keys.create(other, [world.new()]) is not None


def test_what_can_not_be_created_leaves_no_key(world: EitherWorld, keys: KeyTable) -> None:
    existing = world.create()
    with pytest.raises(DuplicateId):
        keys.create(KEY, [world.new(id=existing)])
    assert keys.find(KEY) is None
