"""Moving a database from one SECRET_KEY to the next, while it is used."""

from __future__ import annotations

import json
import re
from typing import Any

import psycopg2
import pytest

from app.cli import rotation
from app.config import load_settings
from app.errors import SecretUnreadable, StoreUnavailable
from app.vault import Keyring
from tests.integration.web.conftest import Rows, flow_of
from web import create_app
from web.composition import end

OLD, NEW = "the former key, of 32 characters or more", "the new key, also of 32 characters"
SEALED = re.compile(r'"\$sealed" ?: ?"([^"]+)"')
FLOW = flow_of(
    {"id": "own", "type": "UnencryptedSecret", "values": {"unencryptedData": {"apiKey": "sk-1"}}}
)


@pytest.fixture
def filled(database_url: str, redis_url: str) -> str:
    """A database with a secret in every place that keeps one, under the old key."""
    environ = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "SECRET_KEY": OLD}
    app = create_app(load_settings(environ))
    client = app.test_client()
    assert client.post("/api/v1/secrets", json={"name": "a", "data": "sk-2"}).status_code == 201
    flow = client.post("/api/v1/flows", json=FLOW).get_json()
    inputs = {"own": {"unencryptedData": {"apiKey": "sk-3"}}}
    body = {"flowId": flow["id"], "inputs": inputs}
    assert client.post("/api/v1/executions", json=body).status_code == 201
    end(app)
    return database_url


def add_checkpoint(database_url: str, outputs: Any) -> None:
    connection = psycopg2.connect(database_url)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO chaingraph_checkpoints (execution_id, node_id, seq, status, attempt,"
            " started_at, completed_at, execution_time_ms, worker_id, outputs)"
            " VALUES ('EX1', 'n', 1, 'completed', 1, now(), now(), 1, 'w', %s)",
            [json.dumps(outputs, ensure_ascii=False)],
        )
    connection.close()


def sealed_texts(rows: Rows) -> list[str]:
    found = [text for (text,) in rows("SELECT sealed FROM chaingraph_secrets")]
    for table, column in (
        ("flow_versions", "document"),
        ("executions", "inputs"),
        ("checkpoints", "outputs"),
    ):
        for (text,) in rows(f"SELECT {column}::text FROM chaingraph_{table}"):
            found += SEALED.findall(text)
    return found


def test_afterwards_nothing_needs_the_old_key(filled: str, rows: Rows) -> None:
    old, new = Keyring(OLD), Keyring(NEW)
    add_checkpoint(filled, {"secret": {"$sealed": old.seal("local", "sk-4")}, "text": "as it is"})
    before = sealed_texts(rows)
    held = sorted(json.dumps(old.open("local", text)) for text in before)
    assert len(before) == 4
    rotated = rotation.rotate([filled], Keyring(NEW, OLD))
    assert (rotated.rewritten, rotated.unreadable) == (4, [])
    after = sealed_texts(rows)
    assert sorted(json.dumps(new.open("local", text)) for text in after) == held
    for text in after:
        with pytest.raises(SecretUnreadable):
            old.open("local", text)
    [(outputs,)] = rows("SELECT outputs FROM chaingraph_checkpoints")
    assert outputs["text"] == "as it is"
    assert rotation.rotate([filled], Keyring(NEW, OLD)).rewritten == 0
    audited = "SELECT action, owner_id LIKE 'cli:%%', count(*) FROM chaingraph_audit"
    moved = rows(f"{audited} WHERE subject_kind = 'secret' GROUP BY 1, 2 ORDER BY 1")
    assert moved == [("create", False, 1), ("rotate", True, 1)]


def test_what_neither_key_opens_is_named_and_left(filled: str, rows: Rows) -> None:
    lost = Keyring("a third key that nobody has any more").seal("local", "x")
    add_checkpoint(filled, {"secret": {"$sealed": lost}})
    rotated = rotation.rotate([filled], Keyring(NEW, OLD))
    assert (rotated.rewritten, rotated.unreadable) == (
        3,
        ["chaingraph_checkpoints.outputs of EX1, n"],
    )
    assert lost in sealed_texts(rows)


@pytest.mark.parametrize("rubbish", ["abc", "é", ""])
def test_what_only_looks_sealed_keeps_nothing_beside_it_from_moving(
    filled: str, rows: Rows, rubbish: str
) -> None:
    real = Keyring(OLD).seal("local", "sk-4")
    add_checkpoint(filled, {"a": {"$sealed": rubbish}, "b": {"$sealed": real}})
    rotated = rotation.rotate([filled], Keyring(NEW, OLD))
    assert rotated.rewritten == 4
    assert rotated.unreadable == ["chaingraph_checkpoints.outputs of EX1, n"]
    [(outputs,)] = rows("SELECT outputs FROM chaingraph_checkpoints")
    assert outputs["a"] == {"$sealed": rubbish}
    assert Keyring(NEW).open("local", outputs["b"]["$sealed"]) == "sk-4"


def test_events_read_the_same_for_ever(filled: str, rows: Rows) -> None:
    data = [{"outputs": {"a": {"$sealed": Keyring(OLD).seal("local", "of a caller's own")}}}]
    rows("UPDATE chaingraph_event_batches SET data = %s", json.dumps(data))
    assert rotation.rotate([filled], Keyring(NEW, OLD)).rewritten == 3
    assert rows("SELECT data FROM chaingraph_event_batches") == [(data,)]


def test_more_rows_than_are_read_at_once_are_all_moved(
    filled: str, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "BATCH", 2)
    for number in range(5):
        rows(
            "INSERT INTO chaingraph_secrets VALUES (%s, 'local', %s, 'string', %s, now(), now())",
            f"SE{number}",
            f"n{number}",
            Keyring(OLD).seal("local", number),
        )
    assert rotation.rotate([filled], Keyring(NEW, OLD)).rewritten == 8
    assert all(Keyring(NEW).open("local", text) is not None for text in sealed_texts(rows))


def test_a_row_that_changes_meanwhile_is_read_again(
    filled: str, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring = Keyring(NEW, OLD)
    renew, changes = keyring.renew, [Keyring(OLD).seal("local", "changed")]

    def renew_slowly(sealed: str) -> str:
        if changes:
            rows("UPDATE chaingraph_secrets SET sealed = %s", changes.pop())
        return renew(sealed)

    monkeypatch.setattr(keyring, "renew", renew_slowly)
    rotation.rotate([filled], keyring)
    [(sealed,)] = rows("SELECT sealed FROM chaingraph_secrets")
    assert Keyring(NEW).open("local", sealed) == "changed"


def test_without_a_database_it_says_so() -> None:
    with pytest.raises(StoreUnavailable):
        rotation.rotate(["postgresql://127.0.0.1:1/none"], Keyring(NEW, OLD))
