"""Another PostgreSQL takes over: a standby that is promoted, or a database that was restored.

As docs/operations.md has it, with the commands that stand there. Minutes on a busy machine, so run
when asked for: `pytest -m soak tests/system/survival/test_failover.py`.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.supervisor.guardian import Guardian
from tests.proxy import Proxy, socket_of
from tests.system.crew import Crew
from tests.system.ledger import Ledger
from tests.system.operating import await_progress, back_up, commands, run_as_written
from tests.system.servers import ScratchPostgres, ScratchValkey
from tests.system.stack import Stack, run_stack
from tests.system.survival.conftest import ENVIRON, MakePostgres
from tests.system.traces import Trace, ask
from tests.waiting import wait_until

pytestmark = pytest.mark.soak


@pytest.fixture
def standby(
    primary: ScratchPostgres,
    make_postgres: MakePostgres,
    server_directory: Path,
) -> ScratchPostgres:
    """One that has every commit before it is answered."""
    back_up(primary.url, server_directory / "standby", "--write-recovery-conf")
    server = make_postgres("standby")
    ask(primary.url, "ALTER SYSTEM SET synchronous_standby_names = '*'")
    ask(primary.url, "SELECT pg_reload_conf()")
    wait_until(
        lambda: ask(primary.url, "SELECT sync_state FROM pg_stat_replication") == [("sync",)],
        "the standby has what is committed",
    )
    return server


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
        await_progress(ledger, execution_ids, "n03", 4)
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


def assert_deaths_are_noticed(stack: Stack, crew: Crew, ledger: Ledger, flow_id: str) -> None:
    """The new server knows which processes are alive."""
    ledger.hold("n03")
    execution_id = stack.run(flow_id)
    await_progress(ledger, [execution_id], "n03", 1)
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
    again = urlsplit(primary.url)._replace(path="/chaingraph_again").geturl()
    told = {"DATABASE_URL": primary.url, "AGAIN": again, "REDIS_URL": site_valkey.url}
    with run_stack(
        primary.url, site_valkey.url, tmp_path, guardian, workers=0, environ=ENVIRON
    ) as stack:
        Crew(stack, concurrency=2).muster(2)
        ledger.hold("n03")
        execution_ids = [stack.run(stack.store(ledger.chain(5))) for _ in range(3)]
        await_progress(ledger, execution_ids, "n03", 3)
        run_as_written(commands("pg_dump"), told, tmp_path)
    ledger.let_go()
    run_as_written(commands("createdb"), told, tmp_path)
    with run_stack(again, site_valkey.url, tmp_path, guardian, workers=0, environ=ENVIRON) as stack:
        Crew(stack, concurrency=2).muster(2)
        for execution_id in execution_ids:
            stack.await_status(execution_id, "completed", within_s=60)
            trace = Trace(stack, execution_id)
            trace.assert_completed_once()
            assert len(trace.recoveries) == 1
