"""Another PostgreSQL takes over: a standby that is promoted, or a database that was restored.

As docs/operations.md has it, with the commands that stand there. Minutes on a busy machine, so run
when asked for: `pytest -m soak tests/system/survival/test_failover.py`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from app.embedded.account import account_for
from app.embedded.locate import postgres_programs
from app.supervisor.guardian import Guardian
from tests.programs import PG_BIN
from tests.proxy import Proxy, proxy_to_postgres, socket_of
from tests.system.crew import Crew
from tests.system.ledger import Ledger
from tests.system.servers import ScratchPostgres, ScratchValkey
from tests.system.stack import Stack, run_stack
from tests.system.survival.conftest import ENVIRON
from tests.system.traces import Trace, ask
from tests.waiting import wait_until

pytestmark = pytest.mark.soak

DOCUMENT = Path(__file__).parents[3] / "docs" / "operations.md"
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


@pytest.fixture
def make_postgres(
    server_directory: Path, guardian: Guardian
) -> Iterator[Callable[[str], ScratchPostgres]]:
    """Start a PostgreSQL over the directory of that name, which may be there; it ends here."""
    made: list[ScratchPostgres] = []

    def make(name: str) -> ScratchPostgres:
        made.append(ScratchPostgres(server_directory / name, guardian))
        made[-1].start()
        return made[-1]

    yield make
    for server in made:
        server.remove()


@pytest.fixture
def primary(make_postgres: Callable[[str], ScratchPostgres]) -> ScratchPostgres:
    server = make_postgres("primary")
    server.create_schema()
    return server


@pytest.fixture
def standby(
    primary: ScratchPostgres,
    make_postgres: Callable[[str], ScratchPostgres],
    server_directory: Path,
) -> ScratchPostgres:
    """One that has every commit before it is answered."""
    _back_up(primary.url, server_directory / "standby")
    server = make_postgres("standby")
    ask(primary.url, "ALTER SYSTEM SET synchronous_standby_names = '*'")
    ask(primary.url, "SELECT pg_reload_conf()")
    wait_until(
        lambda: ask(primary.url, "SELECT sync_state FROM pg_stat_replication") == [("sync",)],
        "the standby has what is committed",
    )
    return server


@pytest.fixture
def address(primary: ScratchPostgres) -> Iterator[tuple[Proxy, str]]:
    """The address that clients know, which leads to the primary until it is turned."""
    proxy, url = proxy_to_postgres(primary.url)
    yield proxy, url
    proxy.close()


def test_a_standby_is_promoted_under_running_executions(
    primary: ScratchPostgres,
    standby: ScratchPostgres,
    address: tuple[Proxy, str],
    site_valkey: ScratchValkey,
    ledger: Ledger,
    tmp_path: Path,
    guardian: Guardian,
) -> None:
    proxy, url = address
    with run_stack(url, site_valkey.url, tmp_path, guardian, workers=0, environ=ENVIRON) as stack:
        crew = Crew(stack, concurrency=2)
        crew.muster(2)
        flow_id = stack.store(ledger.chain(5))
        ledger.hold("n03")
        execution_ids = [stack.run(flow_id) for _ in range(6)]
        await_progress(ledger, execution_ids, 4)
        primary.kill()
        ledger.let_go()
        proxy.cut()
        assert ask(standby.url, "SELECT pg_promote()") == [(True,)]
        proxy.turn_to(socket_of(standby.url))
        proxy.mend()
        for execution_id in execution_ids:
            stack.await_status(execution_id, "completed", within_s=60)
            trace = Trace(stack, execution_id)
            trace.assert_completed_once()
            assert not trace.recoveries
            assert set(ledger.counts(execution_id).values()) == {1}
        assert_deaths_are_noticed(stack, crew, ledger, flow_id)


def await_progress(ledger: Ledger, execution_ids: list[str], wanted: int) -> None:
    """Wait until so many of them are at their fourth node or beyond."""
    wait_until(
        lambda: sum(ledger.count(each, "n03") for each in execution_ids) >= wanted,
        f"{wanted} executions are at n03",
        PROGRESS_WITHIN_S,
    )


def assert_deaths_are_noticed(stack: Stack, crew: Crew, ledger: Ledger, flow_id: str) -> None:
    """The new server knows which processes are alive."""
    ledger.hold("n03")
    execution_id = stack.run(flow_id)
    await_progress(ledger, [execution_id], 1)
    owner = str(stack.execution(execution_id)["processingWorkerId"])
    crew.worker_of(owner).kill_all()
    ledger.let_go()
    stack.await_status(execution_id, "completed", within_s=60)
    [(reason, _, _)] = Trace(stack, execution_id).recoveries
    assert reason == "worker_died"


def test_a_dump_is_restored_by_the_commands_of_the_document(
    primary: ScratchPostgres,
    site_valkey: ScratchValkey,
    ledger: Ledger,
    tmp_path: Path,
    guardian: Guardian,
) -> None:
    back_up, restore = re.findall(r"```sh\n(.+?)```", _chapter(), re.DOTALL)
    again = urlsplit(primary.url)._replace(path="/chaingraph_again").geturl()
    told = {"DATABASE_URL": primary.url, "AGAIN": again, "REDIS_URL": site_valkey.url}
    with run_stack(
        primary.url, site_valkey.url, tmp_path, guardian, workers=0, environ=ENVIRON
    ) as stack:
        Crew(stack, concurrency=2).muster(2)
        ledger.hold("n03")
        execution_ids = [stack.run(stack.store(ledger.chain(5))) for _ in range(3)]
        await_progress(ledger, execution_ids, 3)
        _run(back_up, told, tmp_path)
    ledger.let_go()
    _run(restore, told, tmp_path)
    with run_stack(again, site_valkey.url, tmp_path, guardian, workers=0, environ=ENVIRON) as stack:
        Crew(stack, concurrency=2).muster(2)
        for execution_id in execution_ids:
            stack.await_status(execution_id, "completed", within_s=60)
            trace = Trace(stack, execution_id)
            trace.assert_completed_once()
            assert len(trace.recoveries) == 1


def _chapter() -> str:
    _, _, rest = DOCUMENT.read_text().partition("\n## Failover, backup, restore\n")
    return rest.partition("\n## ")[0]


def _run(script: str, told: dict[str, str], directory: Path) -> None:
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


def _back_up(url: str, directory: Path) -> None:
    parts = parse_qs(urlsplit(url).query)
    account = account_for(Path(parts["host"][0]))
    directory.mkdir(mode=0o700)
    account.own(directory)
    subprocess.run(
        [
            *(PROGRAMS / "pg_basebackup", "--pgdata", directory, "--write-recovery-conf"),
            *("--checkpoint=fast", "--dbname", url),
        ],
        check=True,
        capture_output=True,
        cwd="/",
        timeout=COMMAND_WITHIN_S,
        **account.popen_arguments(),
    )
