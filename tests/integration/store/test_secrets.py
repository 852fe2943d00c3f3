"""Stored secrets, in each store."""

from __future__ import annotations

import pytest

from app.store.secrets import NameTaken, SecretRow, SecretStore
from tests.memory_world import MemoryWorld
from tests.world import PgWorld

EitherWorld = PgWorld | MemoryWorld


@pytest.fixture
def secrets(world: EitherWorld) -> SecretStore:
    return SecretStore(world.database)


def add(secrets: SecretStore, number: int, name: str, owner: str = "ada") -> SecretRow:
    row = secrets.add(f"SE{number}", owner, name, "openai", f"sealed {number}")
    assert isinstance(row, SecretRow)
    return row


def test_a_secret_is_found_by_its_id_and_by_its_name(secrets: SecretStore) -> None:
    row = add(secrets, 1, "mine")
    assert (row.owner_id, row.name, row.secret_type) == ("ada", "mine", "openai")
    assert row.created_at == row.updated_at
    assert row.created_at.microsecond % 1000 == 0
    assert secrets.read("SE1", "ada") == row
    assert secrets.find("ada", "SE1") == secrets.find("ada", "mine") == "sealed 1"
    assert secrets.find("ada", "other") is secrets.find("ada", "mine\0") is None


def test_an_id_goes_before_a_name(secrets: SecretStore) -> None:
    add(secrets, 1, "SE2")
    add(secrets, 2, "b")
    assert secrets.find("ada", "SE2") == "sealed 2"


def test_nobody_finds_what_is_anothers(secrets: SecretStore) -> None:
    add(secrets, 1, "mine")
    assert secrets.read("SE1", "bob") is None
    assert secrets.find("bob", "SE1") is secrets.find("bob", "mine") is None
    assert secrets.change("SE1", "bob", "x", "string", "y") is None
    assert not secrets.remove("SE1", "bob")
    assert secrets.page("bob", 10, None) == []
    add(secrets, 2, "mine", owner="bob")


def test_a_name_is_an_owners_once(secrets: SecretStore) -> None:
    add(secrets, 1, "mine")
    add(secrets, 2, "other")
    assert secrets.add("SE3", "ada", "mine", "string", "x") == NameTaken()
    assert secrets.change("SE2", "ada", "mine", "string", "x") == NameTaken()
    assert secrets.find("ada", "other") == "sealed 2"


def test_a_change_may_leave_what_a_secret_holds(secrets: SecretStore) -> None:
    before = add(secrets, 1, "mine")
    after = secrets.change("SE1", "ada", "renamed", "string", None)
    assert isinstance(after, SecretRow)
    assert (after.name, after.secret_type) == ("renamed", "string")
    assert (after.created_at, after.updated_at >= before.updated_at) == (before.created_at, True)
    assert secrets.find("ada", "renamed") == "sealed 1"
    assert secrets.change("SE1", "ada", "renamed", "string", "new") is not None
    assert secrets.find("ada", "renamed") == "new"


def test_a_list_goes_on_where_a_page_ended(secrets: SecretStore) -> None:
    rows = [add(secrets, number, f"n{number}") for number in range(3)]
    newest_first = sorted(rows, key=lambda row: (row.created_at, row.id), reverse=True)
    first = secrets.page("ada", 2, None)
    last = first[-1]
    assert first + secrets.page("ada", 2, (last.created_at, last.id)) == newest_first


def test_what_is_removed_is_gone(secrets: SecretStore) -> None:
    add(secrets, 1, "mine")
    assert secrets.remove("SE1", "ada")
    assert not secrets.remove("SE1", "ada")
    assert secrets.find("ada", "mine") is None
    add(secrets, 2, "mine")
