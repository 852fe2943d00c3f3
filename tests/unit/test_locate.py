"""Where programs are found, and what another account can reach."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from app.embedded import account as accounts
from app.embedded.account import Account, can_read, reachable_directory, reachable_programs
from app.embedded.locate import (
    EmbeddedServerError,
    postgres_major,
    postgres_programs,
    valkey_program,
)

#: Nobody here has these numbers, so only what is open to all is open to it.
STRANGER = Account(uid=4_000_001, gid=4_000_001, switches=True)


def program(path: Path, says: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def install(tmp_path: Path) -> Path:
    """Something that looks like PostgreSQL."""
    place = tmp_path / "package" / "pg"
    program(place / "bin" / "postgres", "postgres (PostgreSQL) 17.2")
    program(place / "bin" / "initdb")
    (place / "share").mkdir()
    (place / "share" / "postgres.bki").touch()
    (tmp_path / "package.libs").mkdir()
    (tmp_path / "package.libs" / "libpq.so").touch()
    return place / "bin"


def test_the_wheels_are_found() -> None:
    assert postgres_major(postgres_programs(None)) >= 18
    assert valkey_program(None).name == "valkey-server"


def test_pg_bin_wins(install: Path) -> None:
    assert postgres_programs(install) == install
    assert postgres_major(install) == 17


def test_pg_bin_without_programs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="holds no postgres and initdb"):
        postgres_programs(tmp_path)


def test_an_old_postgres_is_refused(install: Path) -> None:
    program(install / "postgres", "postgres (PostgreSQL) 9.6.24")
    with pytest.raises(EmbeddedServerError, match="14 or newer"):
        postgres_major(install)


def test_without_the_wheel_the_path_is_searched(
    install: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.embedded.locate._postgres_wheel", list)
    monkeypatch.setenv("PATH", str(install))
    assert postgres_programs(None) == install


def test_without_any_postgres_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.embedded.locate._postgres_wheel", list)
    monkeypatch.setattr("app.embedded.locate._DEBIAN", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedServerError, match=r"PG_BIN.*DATABASE_URL"):
        postgres_programs(None)


def test_valkey_bin_wins_and_a_redis_on_the_path_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis = program(tmp_path / "redis-server")
    assert valkey_program(redis) == redis
    monkeypatch.setattr("app.embedded.locate._valkey_wheel", list)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert valkey_program(None) == redis
    with pytest.raises(EmbeddedServerError, match="VALKEY_BIN"):
        valkey_program(tmp_path / "missing")


@pytest.fixture
def passable(tmp_path: Path) -> Path:
    """A directory that every account can get to, unlike a test's own."""
    for directory in (tmp_path, *tmp_path.parents):
        if directory.stat().st_uid == os.geteuid() and directory != Path("/"):
            directory.chmod(directory.stat().st_mode | 0o011)
    return tmp_path


def test_an_account_reads_what_every_directory_on_the_way_lets_through(passable: Path) -> None:
    path = passable / "open" / "file"
    path.parent.mkdir(mode=0o755)
    path.touch(mode=0o644)
    assert can_read(STRANGER, path)
    path.chmod(0o600)
    assert not can_read(STRANGER, path)
    path.chmod(0o644)
    path.parent.chmod(0o700)
    assert not can_read(STRANGER, path)


def test_programs_behind_a_closed_door_are_copied_once(
    install: Path, passable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "COMMON_PLACE", passable / "common")
    assert reachable_programs(STRANGER, install) == install
    install.parent.chmod(0o700)
    copy = reachable_programs(STRANGER, install)
    assert copy.is_relative_to(passable / "common")
    assert can_read(STRANGER, copy / "postgres")
    assert os.access(copy / "postgres", os.X_OK)
    # The programs look for their libraries relative to themselves.
    assert can_read(STRANGER, copy.parents[2] / "package.libs" / "libpq.so")
    assert reachable_programs(STRANGER, install) == copy


def test_data_behind_a_closed_door_lives_elsewhere_behind_a_link(
    passable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "COMMON_PLACE", passable / "common")
    closed = passable / "closed"
    closed.mkdir(mode=0o700)
    real = reachable_directory(STRANGER, closed / "postgres")
    assert real.is_relative_to(passable / "common")
    assert (closed / "postgres").is_symlink()
    assert reachable_directory(STRANGER, closed / "postgres") == real
    shutil.rmtree(closed)
    closed.mkdir(mode=0o755)
    assert reachable_directory(STRANGER, closed / "postgres") == closed / "postgres"
