"""What is noted of who did what: with what was done, once, and nothing where nothing was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.caller import Caller
from app.store.bulk import BulkFilter, BulkStore
from app.store.commands import PgCommandStore
from app.store.flows import FlowStore
from app.store.secrets import NameTaken, SecretStore
from app.store.signals import SignalStore
from app.store.sweeps import PgSweepStore
from app.store.takeovers import TakeoverTable
from tests.world import PgWorld

ADA = Caller("ada", "user", "TK1")
ROOT = Caller("root", "admin", "TK2")

REASON = "why"


@pytest.fixture
def world(database_url: str) -> Iterator[PgWorld]:
    world = PgWorld(database_url)
    yield world
    world.close()


@pytest.fixture
def commands(world: PgWorld) -> PgCommandStore:
    return PgCommandStore(world.database)


def noted(world: PgWorld) -> list[tuple[str, str | None, str, str, str]]:
    rows = world.execute("SELECT * FROM chaingraph_audit ORDER BY id")
    return [
        (row.owner_id, row.token_id, row.action, row.subject_kind, row.subject_id) for row in rows
    ]


def actions(world: PgWorld) -> list[str]:
    return [each[2] for each in noted(world)]


def test_a_command_is_noted_with_its_token_and_what_it_was_given_to(
    world: PgWorld, commands: PgCommandStore
) -> None:
    execution = world.create(start=False, owner_id="ada")
    assert world.table.request_start(execution, ADA)
    assert noted(world) == [("ada", "TK1", "start", "execution", execution)]
    assert not world.table.request_start(execution, ADA)
    commands.stop(execution, REASON, ADA)
    assert actions(world) == ["start", "stop"]
    for again in (commands.stop, commands.pause):
        again(execution, REASON, ADA)
    assert actions(world) == ["start", "stop"]


def test_commands_to_an_owner_are_noted_when_they_are_requested(
    world: PgWorld, commands: PgCommandStore
) -> None:
    execution = world.create()
    assert world.open().claim("w1", "token", 60_000, execution) is not None
    world.execute("UPDATE chaingraph_executions SET status = 'running', started_at = now()")
    for _ in range(2):
        commands.pause(execution, REASON, ADA)
    commands.resume(execution, ROOT)
    commands.resume(execution, ROOT)
    assert [each[:3] for each in noted(world)] == [
        ("ada", "TK1", "pause"),
        ("root", "TK2", "resume"),
    ]


def test_commands_to_what_nobody_owns_are_noted_as_they_take_effect(
    world: PgWorld, commands: PgCommandStore
) -> None:
    execution = world.create()
    world.execute("UPDATE chaingraph_executions SET status = 'running', started_at = now()")
    commands.pause(execution, REASON, ADA)
    commands.step(execution, world.row(execution).writes - 1, ADA)
    commands.step(execution, world.row(execution).writes, ADA)
    commands.resume(execution, ADA)
    takeovers = TakeoverTable(world.database)
    takeovers.take_over(execution, "api:root", ROOT)
    assert actions(world) == ["pause", "step", "recover"]
    world.forget(execution)
    takeovers.take_over(execution, "api:root", ROOT)
    assert len(noted(world)) == 3


def test_a_resume_of_what_is_paused_is_noted(world: PgWorld, commands: PgCommandStore) -> None:
    execution = world.create()
    world.execute("UPDATE chaingraph_executions SET status = 'running', started_at = now()")
    commands.pause(execution, REASON)
    commands.resume(execution, ADA)
    assert noted(world) == [("ada", "TK1", "resume", "execution", execution)]


def test_a_stop_is_noted_of_the_execution_that_it_named(
    world: PgWorld, commands: PgCommandStore
) -> None:
    root, child = world.create(), world.create()
    world.adopt(child, root)
    assert len(commands.stop(root, REASON, ADA)) == 2
    assert noted(world) == [("ada", "TK1", "stop", "execution", root)]


def test_a_command_to_many_is_noted_once_for_each_that_takes_it(world: PgWorld) -> None:
    mine = [world.create(start=False, owner_id="ada") for _ in range(3)]
    world.create(start=False, owner_id="bob")
    assert world.table.request_start(mine[0])
    bulk = BulkStore(world.database)
    recorded = bulk.record(ADA, "start", BulkFilter(["created"]))
    assert (recorded.matched, recorded.accepted) == (3, 2)
    bulk.carry_out(10)
    wanted = [("ada", "TK1", "start", "execution", each) for each in mine[1:]]
    assert sorted(noted(world)) == sorted(wanted)


def test_a_signal_is_noted(world: PgWorld) -> None:
    execution = world.create()
    signals = SignalStore(world.database)
    assert signals.send(execution, "go", "{}", caller=ADA)
    assert signals.send("EXnone", "go", "{}", caller=ADA) is None
    assert noted(world) == [("ada", "TK1", "signal", "execution", execution)]


def test_what_is_done_to_flows_is_noted(world: PgWorld) -> None:
    flows = FlowStore(world.database)
    assert flows.store("V2a", ADA, "A", "{}")
    assert not flows.store("V2a", ROOT, "A", "{}")
    assert flows.replace("V2a", ROOT, "B", "{}", None)
    assert not flows.replace("V2a", ROOT, "B", "{}", [7])
    assert flows.hide("V2a", ADA)
    assert not flows.hide("V2a", ADA)
    assert noted(world) == [
        ("ada", "TK1", "save", "flow", "V2a"),
        ("root", "TK2", "save", "flow", "V2a"),
        ("ada", "TK1", "hide", "flow", "V2a"),
    ]
    # It is still Ada's.
    assert [row.owner_id for row in flows.page(None, 10, None)] == []
    assert world.execute("SELECT owner_id FROM chaingraph_flows")[0].owner_id == "ada"


def test_what_is_done_to_secrets_is_noted(world: PgWorld) -> None:
    secrets = SecretStore(world.database)
    secrets.add("SE1", "ada", "key", "openai", "sealed", "TK1")
    assert secrets.add("SE2", "ada", "key", "openai", "sealed", "TK1") == NameTaken()
    assert secrets.change("SE1", "ada", "other", "openai", None, "TK2")
    assert secrets.change("SE1", "bob", "other", "openai", None, "TK3") is None
    assert secrets.remove("SE1", "ada")
    assert not secrets.remove("SE1", "ada")
    assert noted(world) == [
        ("ada", "TK1", "create", "secret", "SE1"),
        ("ada", "TK2", "update", "secret", "SE1"),
        ("ada", None, "delete", "secret", "SE1"),
    ]


def test_what_was_noted_long_ago_is_forgotten_the_oldest_first(world: PgWorld) -> None:
    for flow in ("V2a", "V2b", "V2c", "V2d"):
        FlowStore(world.database).store(flow, ADA, "A", "{}")
    world.execute(
        "UPDATE chaingraph_audit SET at = at - interval '8 days' WHERE subject_id <> 'V2d'"
    )
    sweeps = PgSweepStore(world.database, "sweeper")

    assert sweeps.forget_audit(9, 10) == 0
    assert sweeps.forget_audit(7, 2) == 2
    assert [each[4] for each in noted(world)] == ["V2c", "V2d"]
    assert sweeps.forget_audit(7, 2) == 1
    assert sweeps.forget_audit(7, 2) == 0
    assert [each[4] for each in noted(world)] == ["V2d"]


def test_creating_executions_is_not_noted(world: PgWorld) -> None:
    world.create(owner_id="ada")
    assert not noted(world)
