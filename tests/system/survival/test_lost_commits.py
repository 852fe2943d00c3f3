"""PostgreSQL falls back to an earlier moment: commits are lost, and Redis tells of them still.

As docs/operations.md has it, with the commands that stand there. Minutes on a busy machine, so run
when asked for: `pytest -m soak tests/system/survival/test_lost_commits.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.supervisor.guardian import Guardian
from tests.proxy import Proxy, socket_of
from tests.system.crew import Crew
from tests.system.ledger import Ledger, effects_in_a_row
from tests.system.operating import (
    await_progress,
    back_up,
    commands,
    new_directory,
    run_as_written,
    run_beside_server,
)
from tests.system.servers import ScratchPostgres, ScratchValkey
from tests.system.stack import Stack, run_stack
from tests.system.survival.conftest import ENVIRON, MakePostgres
from tests.system.traces import Trace, ask, read_events
from tests.system.watchers import watching
from tests.waiting import wait_until

pytestmark = pytest.mark.soak

#: What the standby and the backup have of each execution, and what is lost.
KEPT, LOST = "n02", "n05"
EXECUTIONS = 4


@pytest.fixture
def follower(
    primary: ScratchPostgres, make_postgres: MakePostgres, server_directory: Path
) -> ScratchPostgres:
    """A standby that nothing waits for."""
    back_up(primary.url, server_directory / "follower", "--write-recovery-conf")
    return make_postgres("follower")


def test_a_standby_without_the_last_commits_is_promoted(
    primary: ScratchPostgres,
    follower: ScratchPostgres,
    address: tuple[Proxy, str],
    site_valkey: ScratchValkey,
    ledger: Ledger,
    tmp_path: Path,
    guardian: Guardian,
) -> None:
    proxy, url = address
    with run_stack(url, site_valkey.url, tmp_path, guardian, workers=0, environ=ENVIRON) as stack:
        crew = Crew(stack, pool="threads", concurrency=5)
        crew.muster(2)
        flow_id = stack.store(ledger.chain(7))
        changing = stack.store(ledger.chain(1))
        execution_ids = run_up_to(stack, ledger, flow_id, KEPT)
        let_fall_behind(follower)
        # Some change their owner, which is lost as well, and one is there that will not have been.
        crew.owner(execution_ids[0]).kill_all()
        assert save(stack, changing, effects_in_a_row(ledger.url, ["n01"])) == 2
        stack.await_status(stack.run(changing), "completed")
        gone = stack.run(flow_id)
        with watching(stack, execution_ids, 60) as watchers:
            run_on_to(ledger, [*execution_ids, gone], LOST)
            wait_until(lambda: all(watchers.events.values()), "all of them are watched")
            primary.kill()
            proxy.cut()
            assert ask(follower.url, "SELECT pg_promote()") == [(True,)]
            proxy.turn_to(socket_of(follower.url))
            proxy.mend()
            ledger.let_go()
            for execution_id in execution_ids:
                stack.await_status(execution_id, "completed", within_s=60)
        assert watchers.failures == {}
        assert watchers.ended == dict.fromkeys(execution_ids, "completed")
        assert stack.http.get(f"/api/v1/executions/{gone}").status_code == 404
        assert_gone_on_with(stack, ledger, execution_ids)
        # What new readers are shown is not what is in the log, until Redis is emptied.
        assert told_otherwise(stack, execution_ids)
        run_as_written(commands("redis-cli"), {"REDIS_URL": site_valkey.url}, tmp_path)
        assert not told_otherwise(stack, execution_ids)
        assert stack.await_status(stack.run(flow_id), within_s=60)["status"] == "completed"
        # A version's number was given away twice: who knows the first has to begin anew.
        assert save(stack, changing, ledger.chain(2)) == 2
        begin_anew(stack, crew)
        execution_id = stack.run(changing)
        stack.await_status(execution_id, "completed", within_s=60)
        assert ledger.counts(execution_id) == {"n00": 1, "n01": 1}


def save(stack: Stack, flow_id: str, document: dict[str, Any]) -> int:
    """Save another version of a flow; its number."""
    answer = stack.http.put(f"/api/v1/flows/{flow_id}", json=document)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["version"])


def begin_anew(stack: Stack, crew: Crew) -> None:
    """End API and workers, and start them again."""
    for process in stack.processes:
        process.terminate()
    stack.start_web()
    crew.muster(1)


def test_a_base_backup_is_restored_to_a_moment_before_the_last_commits(
    make_postgres: MakePostgres,
    site_valkey: ScratchValkey,
    ledger: Ledger,
    server_directory: Path,
    tmp_path: Path,
    guardian: Guardian,
) -> None:
    archive = server_directory / "archive"
    settings = {"archive_mode": "on", "archive_command": f"cp %p {archive}/%f"}
    server = make_postgres("archived", **settings)
    new_directory(server.url, archive)
    server.create_schema()
    back_up(server.url, server_directory / "backup")
    with running(server.url, site_valkey, tmp_path, guardian) as stack:
        execution_ids = run_up_to(stack, ledger, stack.store(ledger.chain(7)), KEPT)
        [(moment,)] = ask(server.url, "SELECT clock_timestamp()::text")
        run_on_to(ledger, execution_ids, LOST)
    ledger.let_go()
    await_archived(server)
    server.kill()

    told = {
        "BACKUP": str(server_directory / "backup"),
        "ARCHIVE": str(archive),
        "MOMENT": moment,
        "PGDATA": str(new_directory(server.url, server_directory / "restored")),
    }
    run_beside_server(commands("cp"), told, server.url)
    restored = make_postgres("restored")
    with running(restored.url, site_valkey, tmp_path, guardian) as stack:
        for execution_id in execution_ids:
            stack.await_status(execution_id, "completed", within_s=60)
        assert_gone_on_with(stack, ledger, execution_ids)
        # Redis was left as it was.
        assert told_otherwise(stack, execution_ids)
        run_as_written(commands("redis-cli"), {"REDIS_URL": site_valkey.url}, tmp_path)
        assert not told_otherwise(stack, execution_ids)


@contextmanager
def running(
    url: str, valkey: ScratchValkey, directory: Path, guardian: Guardian
) -> Iterator[Stack]:
    """A stack with a worker, of which nothing is left behind."""
    with run_stack(url, valkey.url, directory, guardian, workers=0, environ=ENVIRON) as stack:
        Crew(stack, pool="threads", concurrency=EXECUTIONS).muster(1)
        yield stack


def await_archived(server: ScratchPostgres) -> None:
    """Wait until the log as far as it is written lies in the archive."""
    [(last,)] = ask(server.url, "SELECT pg_walfile_name(pg_switch_wal())")
    wait_until(
        lambda: (
            ask(server.url, "SELECT last_archived_wal >= %s FROM pg_stat_archiver", last)
            == [(True,)]
        ),
        f"{last} is archived",
    )


def run_up_to(stack: Stack, ledger: Ledger, flow_id: str, node_id: str) -> list[str]:
    """Have executions at a node, which doesn't end before it is told to."""
    ledger.hold(node_id)
    execution_ids = [stack.run(flow_id) for _ in range(EXECUTIONS)]
    await_progress(ledger, execution_ids, node_id, len(execution_ids))
    return execution_ids


def run_on_to(ledger: Ledger, execution_ids: list[str], node_id: str) -> None:
    """The same with executions that run."""
    ledger.hold(node_id)
    await_progress(ledger, execution_ids, node_id, len(execution_ids))


def let_fall_behind(follower: ScratchPostgres) -> None:
    """Have a standby hear no more of what is committed from now on."""
    granted = f"SELECT id FROM chaingraph_executions WHERE grants ->> '{KEPT}' IS NOT NULL"
    wait_until(lambda: len(ask(follower.url, granted)) == EXECUTIONS, "it has what is kept")
    ask(follower.url, "ALTER SYSTEM SET primary_conninfo = ''")
    ask(follower.url, "SELECT pg_reload_conf()")
    wait_until(
        lambda: not ask(follower.url, "SELECT 1 FROM pg_stat_wal_receiver"), "it hears no more"
    )


def assert_gone_on_with(stack: Stack, ledger: Ledger, execution_ids: list[str]) -> None:
    """They went on from what was kept, and their logs are whole; what was lost was done again."""
    for execution_id in execution_ids:
        Trace(stack, execution_id).assert_completed_once()
        counts = ledger.counts(execution_id)
        assert {counts["n00"], counts["n01"]} == {1}
        assert counts["n03"] == 2


def told_otherwise(stack: Stack, execution_ids: list[str]) -> bool:
    """Whether a reader is told something else by the relay than stands in the log."""
    with watching(stack, execution_ids) as watchers:
        pass
    return any(watchers.events[each] != read_events(stack, each) for each in execution_ids)
