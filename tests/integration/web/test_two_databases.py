"""Executions in a database of their own: what lies where, and what is copied and moved."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from typer.testing import CliRunner

from app.caller import LOCAL
from app.cli.root import cli
from app.config import load_settings
from app.errors import Conflict, StoreUnavailable
from app.executions.run import RunEnd
from app.store.commands import PgCommandStore
from app.store.database import Database
from app.store.flow_lookup import CopyingLookup
from app.store.notes import NoteStore
from app.store.runs import PgRunStore
from tests.integration.executions.process import Process, flow, node
from tests.integration.web.conftest import GREETING
from tests.openapi import CheckedClient
from tests.proxy import proxy_to_postgres
from tests.waiting import wait_until
from tests.world import TABLES, PgWorld
from web import create_app
from web.composition import PARTS, end, warm_up

API = "/api/v1"
NOWHERE = "postgresql://127.0.0.1:1/none"

#: What lies in DATABASE_URL; of the versions, those that were run have a copy beside.
OF_FLOWS = {
    "chaingraph_flows",
    "chaingraph_flow_versions",
    "chaingraph_tokens",
    "chaingraph_secrets",
    "chaingraph_audit",
}


@dataclass
class Two:
    flows: PgWorld
    executions: PgWorld

    @property
    def environ(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self.flows.database.url,
            "DATABASE_URL_EXECUTIONS": self.executions.database.url,
        }

    def lookup(self) -> CopyingLookup:
        return CopyingLookup(self.flows.database, self.executions.database)

    def move_notes(self, executions_url: str | None = None) -> int:
        executions = Database(executions_url or self.executions.database.url)
        store = NoteStore(executions, self.flows.database)
        try:
            return store.move(100)
        finally:
            store.close()


@pytest.fixture(scope="module")
def urls(new_database: Callable[[], str]) -> list[str]:
    return [new_database(), new_database()]


@pytest.fixture
def two(urls: list[str]) -> Iterator[Two]:
    made = Two(*map(PgWorld, urls))
    yield made
    made.flows.close()
    made.executions.close()


@pytest.fixture
def app(two: Two, redis_url: str) -> Iterator[Flask]:
    app = create_app(load_settings({**two.environ, "REDIS_URL": redis_url}))
    app.test_client_class = CheckedClient
    yield app
    end(app)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def created(client: FlaskClient, document: dict[str, Any] = GREETING, **more: Any) -> Any:
    stored = client.post(f"{API}/flows", json=document)
    assert stored.status_code == 201, stored.text
    answer = client.post(f"{API}/executions", json={"flowId": stored.get_json()["id"], **more})
    assert answer.status_code == 201, answer.text
    return answer.get_json()


def filled(world: PgWorld) -> set[str]:
    return {table for table in TABLES if world.one(f"SELECT count(*) FROM {table}")}


def actions(world: PgWorld) -> list[str]:
    return [row.action for row in world.execute("SELECT action FROM chaingraph_audit ORDER BY at")]


def test_each_table_is_filled_in_one_of_them_and_versions_are_copied(
    client: FlaskClient, two: Two
) -> None:
    execution = created(client, autostart=True)
    client.post(f"{API}/executions/{execution['id']}/stop")
    two.move_notes()

    assert filled(two.flows) <= OF_FLOWS
    assert filled(two.executions) & OF_FLOWS == {"chaingraph_flow_versions"}
    assert client.get(f"{API}/executions/{execution['id']}/nodes").status_code == 200
    listed = client.get(f"{API}/flows/{execution['flowId']}/executions").get_json()
    assert [each["execution"]["id"] for each in listed["items"]] == [execution["id"]]


def test_no_foreign_key_crosses(two: Two) -> None:
    keys = two.flows.execute(
        "SELECT conrelid::regclass::text AS of, confrelid::regclass::text AS to"
        " FROM pg_constraint WHERE contype = 'f'"
    )
    assert [key for key in keys if (key.of in OF_FLOWS) != (key.to in OF_FLOWS)] == []
    # … and what is copied beside the executions needs nothing there.
    assert [key for key in keys if key.of == "chaingraph_flow_versions"] == []


def test_only_versions_that_are_run_are_copied_and_each_once(client: FlaskClient, two: Two) -> None:
    first = created(client)
    document = {**GREETING, "id": first["flowId"]}
    for _ in range(2):
        client.post(f"{API}/flows", json=document)
    for _ in range(2):
        client.post(f"{API}/executions", json={"flowId": first["flowId"], "flowVersion": 3})

    copies = two.executions.rows("chaingraph_flow_versions")
    assert sorted(copy.version for copy in copies) == [1, 3]
    originals = {row.version: row for row in two.flows.rows("chaingraph_flow_versions")}
    assert all(copy.document == originals[copy.version].document for copy in copies)


def test_processes_that_copy_at_once_keep_one(two: Two) -> None:
    flow_id = two.flows.store_flow(GREETING)
    begin = threading.Barrier(4)
    found: list[str | None] = []

    def copy() -> None:
        begin.wait(60)
        found.append(two.lookup().document(flow_id, 1))

    threads = [threading.Thread(target=copy) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(found) == 4
    assert len(set(found)) == 1
    assert len(two.executions.rows("chaingraph_flow_versions")) == 1


def test_a_number_that_is_given_again_is_not_taken_for_the_version_before(
    client: FlaskClient, two: Two
) -> None:
    flow_id = two.executions.store_flow({"of": "a DATABASE_URL that was there before"})
    two.flows.store_flow(GREETING, flow_id)

    with pytest.raises(Conflict):
        two.lookup().document(flow_id, 1)
    refused = client.post(f"{API}/executions", json={"flowId": flow_id})
    assert (refused.status_code, refused.get_json()["code"]) == (409, "CONFLICT")
    client.post(f"{API}/flows", json={**GREETING, "id": flow_id})
    assert client.post(f"{API}/executions", json={"flowId": flow_id}).status_code == 201


def test_a_run_reads_the_database_of_executions_alone(client: FlaskClient, two: Two) -> None:
    execution = created(client, autostart=True)
    process = Process(two.executions)
    away = CopyingLookup(Database(NOWHERE), two.executions.database)
    try:
        store = PgRunStore(process.database, flows=away)
        assert process.run(execution["id"], store=store) is RunEnd.FINISHED
        store.close()
    finally:
        process.end()
    assert two.executions.row(execution["id"]).status == "completed"


def test_a_flow_that_a_node_has_run_is_found_and_copied(two: Two) -> None:
    called = two.flows.store_flow(flow(node("a", values={"text": "Ada"})), "V2called")
    caller = flow(node("call", "RunFlowNode", values={"flowId": called}))
    two.flows.store_flow(caller, "V2caller")
    two.lookup().document("V2caller", 1)
    execution = two.executions.create(flow_id="V2caller", nodes_total=1)
    process = Process(two.executions)
    try:
        store = PgRunStore(process.database, flows=two.lookup())
        assert process.run(execution, store=store) is RunEnd.PARKED
        [child] = two.executions.execute(
            "SELECT * FROM chaingraph_executions WHERE parent_execution_id = %s", execution
        )
        assert (child.flow_id, child.flow_version) == (called, 1)
        assert process.run(child.id, store=store) is RunEnd.FINISHED
        store.close()
    finally:
        process.end()
    copies = {copy.flow_id for copy in two.executions.rows("chaingraph_flow_versions")}
    assert copies == {"V2caller", called}


@pytest.mark.parametrize("type_", ["RunFlowNode", "ForEachNode"])
def test_a_node_has_no_version_run_whose_number_was_given_again(two: Two, type_: str) -> None:
    called = two.flows.store_flow(flow(node("a", values={"text": "the new one"})), "V2called")
    two.executions.store_flow(flow(node("a", values={"text": "the old one"})), called)
    values = {"flowId": called, **({"items": [1]} if type_ == "ForEachNode" else {})}
    two.flows.store_flow(flow(node("call", type_, values=values)), "V2caller")
    two.lookup().document("V2caller", 1)
    execution = two.executions.create(flow_id="V2caller", nodes_total=1)
    process = Process(two.executions)
    try:
        store = PgRunStore(process.database, flows=two.lookup())
        assert process.run(execution, store=store) is RunEnd.FINISHED
        store.close()
    finally:
        process.end()
    row = two.executions.row(execution)
    assert (row.status, row.error_node_id) == ("failed", "call")
    assert "save the flow again" in row.error_message
    assert two.executions.one("SELECT count(*) FROM chaingraph_executions") == 1


def test_a_fork_onto_another_version_copies_that(client: FlaskClient, two: Two) -> None:
    execution = created(client)
    client.post(f"{API}/flows", json={**GREETING, "id": execution["flowId"]})
    forked = client.post(f"{API}/executions/{execution['id']}/fork", json={"flowVersion": 2})
    assert forked.status_code == 201, forked.text
    copies = two.executions.rows("chaingraph_flow_versions")
    assert sorted(copy.version for copy in copies) == [1, 2]


# -- notes of who did what


def test_a_note_is_written_with_what_was_done_and_moved_afterwards(two: Two) -> None:
    commands = PgCommandStore(two.executions.database)
    execution = two.executions.create()
    commands.stop(execution, "why", LOCAL)
    assert (actions(two.executions), actions(two.flows)) == (["stop"], [])
    [note] = two.executions.rows("chaingraph_audit")

    assert two.move_notes() == 1
    assert two.move_notes() == 0

    assert actions(two.executions) == []
    [moved] = two.flows.rows("chaingraph_audit")
    assert (moved.at, moved.subject_id, moved.source_id) == (note.at, execution, note.id)


def test_a_note_whose_move_was_cut_off_is_there_once(two: Two) -> None:
    commands = PgCommandStore(two.executions.database)
    commands.stop(two.executions.create(), "why", LOCAL)
    proxy, url = proxy_to_postgres(two.executions.database.url)
    try:
        proxy.lose_request("COMMIT")
        with pytest.raises(StoreUnavailable):
            two.move_notes(url)
    finally:
        proxy.close()
    # Both have it for the moment, or the server has yet to notice.
    assert actions(two.flows) == ["stop"]
    wait_until(lambda: two.move_notes() == 1, "the note is free to be moved again")
    assert (actions(two.executions), actions(two.flows)) == ([], ["stop"])


def test_notes_of_a_database_that_was_made_anew_are_not_taken_for_those_before(
    two: Two,
) -> None:
    for _ in range(2):
        two.executions.execute("ALTER SEQUENCE chaingraph_audit_id_seq RESTART")
        PgCommandStore(two.executions.database).stop(two.executions.create(), "why", LOCAL)
        two.move_notes()
    assert [row.source_id for row in two.flows.rows("chaingraph_audit")] == [1, 1]


def test_what_was_noted_long_ago_is_forgotten(two: Two) -> None:
    commands = PgCommandStore(two.executions.database)
    for _ in range(2):
        commands.stop(two.executions.create(), "why", LOCAL)
        two.move_notes()
    old, young = two.flows.execute("SELECT id FROM chaingraph_audit ORDER BY id")
    two.flows.execute(
        "UPDATE chaingraph_audit SET at = at - interval '31 days' WHERE id = %s", old.id
    )
    store = NoteStore(two.executions.database, two.flows.database)
    assert store.forget(30, 1000) == 1
    store.close()
    assert [row.id for row in two.flows.rows("chaingraph_audit")] == [young.id]


# -- both are looked after


@pytest.mark.parametrize("missing", ["DATABASE_URL", "DATABASE_URL_EXECUTIONS"])
def test_it_is_ready_with_both_of_them(two: Two, redis_url: str, missing: str) -> None:
    def asked(environ: dict[str, str]) -> tuple[int, str]:
        app = create_app(load_settings({**environ, "REDIS_URL": redis_url}))
        answer = app.test_client().get("/health/ready")
        end(app)
        return answer.status_code, answer.get_json()["postgres"]

    assert asked(two.environ) == (200, "up")
    assert asked({**two.environ, missing: NOWHERE}) == (503, "down")


def test_connections_are_opened_before_they_are_asked_for(two: Two, redis_url: str) -> None:
    environ = {**two.environ, "REDIS_URL": redis_url, "CONNECTION_POOL_MIN": "3"}
    app = create_app(load_settings(environ))
    try:
        warm_up(app)
        parts = app.extensions[PARTS]
        assert [each.engine.pool.checkedin() for each in (parts.flows, parts.sessions)] == [3, 3]
    finally:
        end(app)


def test_connections_that_can_not_be_opened_yet_are_no_fault(redis_url: str) -> None:
    app = create_app(load_settings({"DATABASE_URL": NOWHERE, "REDIS_URL": redis_url}))
    warm_up(app)
    assert app.test_client().get("/health/live").status_code == 200
    end(app)


def test_both_are_migrated_and_examined(
    new_database: Callable[[], str],
    empty_database_url: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", new_database())
    monkeypatch.setenv("DATABASE_URL_EXECUTIONS", empty_database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli, [*arguments])
        return done.exit_code, done.output

    status, said = run("migrate", "--check")
    assert (status, "DATABASE_URL is current" in said) == (1, True)
    assert "DATABASE_URL_EXECUTIONS is not up to date" in said
    assert "executions' schema" in run("doctor")[1]
    assert run("migrate")[0] == 0
    assert run("migrate", "--check")[0] == 0
    status, said = run("migrate", "--check", "--json")
    assert '"executions"' in said
