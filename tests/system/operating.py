"""Doing to PostgreSQL what docs/operations.md says, with the commands that stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from app.embedded.account import Account, account_for
from app.embedded.locate import postgres_programs
from tests.programs import PG_BIN
from tests.system.ledger import Ledger
from tests.waiting import wait_until

DOCUMENT = Path(__file__).parents[2] / "docs" / "operations.md"
PROGRAMS = postgres_programs(PG_BIN)
COMMAND_WITHIN_S = 120
PROGRESS_WITHIN_S = 60

#: As much of that program as the document asks for: Valkey's wheel has none.
REDIS_CLI = """\
import sys
from redis import Redis
_, _, url, *command = sys.argv
print(Redis.from_url(url).execute_command(*command))
"""


def await_progress(ledger: Ledger, execution_ids: list[str], node_id: str, wanted: int) -> None:
    """Wait until so many of them are at a node or beyond."""
    wait_until(
        lambda: sum(ledger.count(each, node_id) for each in execution_ids) >= wanted,
        f"{wanted} executions are at {node_id}",
        PROGRESS_WITHIN_S,
    )


def chapter() -> str:
    """The document's chapter on failover, backup and restore."""
    _, _, rest = DOCUMENT.read_text().partition("\n## Failover, backup, restore\n")
    return rest.partition("\n## ")[0]


def commands(first: str) -> str:
    """The commands of that chapter that stand together and begin with this one."""
    [found] = re.findall(rf"```sh\n({first} .+?)```", chapter(), re.DOTALL)
    return str(found)


def run_as_written(script: str, told: dict[str, str], directory: Path) -> None:
    """Run commands of the document, where their paths lead to what they name."""
    (directory / ".venv").unlink(missing_ok=True)
    (directory / ".venv").symlink_to(DOCUMENT.parents[1] / ".venv")
    redis_cli = directory / "redis-cli"
    redis_cli.write_text(f"#!{sys.executable}\n{REDIS_CLI}")
    redis_cli.chmod(0o755)
    path = os.pathsep.join((str(PROGRAMS), str(directory), os.environ["PATH"]))
    done = subprocess.run(
        ["bash", "-euxc", script],
        cwd=directory,
        env={**os.environ, **told, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_WITHIN_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def run_beside_server(script: str, told: dict[str, str], url: str) -> None:
    """Run commands of the document as the account that the server runs as."""
    done = subprocess.run(
        ["bash", "-euxc", script],
        cwd="/",
        env={**os.environ, **told, "PATH": os.pathsep.join((str(PROGRAMS), os.environ["PATH"]))},
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_WITHIN_S,
        **_account_of(url).popen_arguments(),
    )
    assert done.returncode == 0, done.stdout + done.stderr


def new_directory(url: str, directory: Path) -> Path:
    """Make a directory for the account that the server runs as."""
    directory.mkdir(mode=0o700)
    _account_of(url).own(directory)
    return directory


def _account_of(url: str) -> Account:
    return account_for(Path(parse_qs(urlsplit(url).query)["host"][0]))


def back_up(url: str, directory: Path, *options: str) -> None:
    """Take a base backup into a directory that is not there yet, as the server's account."""
    told = {"BACKUP": str(new_directory(url, directory)), "DATABASE_URL": url}
    run_beside_server(" ".join((commands("pg_basebackup").strip(), *options)), told, url)
