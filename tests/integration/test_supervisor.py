"""The supervisor over small programs: order, restarts, ends, and its own sudden death."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from app.supervisor.lock import DirectoryInUse, exclusive
from app.supervisor.output import ROTATE_AT, Console
from app.supervisor.program import FIRST_PAUSE_S, LONGEST_PAUSE_S, STABLE_AFTER_S, Pauses
from tests.waiting import wait_until

#: A supervisor over three programs: `base` first, then `steady` and `stubborn`, which won't end.
SCRIPT = """
import sys
from pathlib import Path
from app.supervisor import Console, Program, supervise

directory = Path(sys.argv[1])

def program(name, rank, body, **more):
    code = f'''
import os, signal, sys, time
from pathlib import Path
directory = Path({str(directory)!r})
def note(what):
    with (directory / "notes").open("a") as notes:
        notes.write(f"{name} {{what}}\\\\n")
(directory / "{name}.pid").write_text(str(os.getpid()))
note("began")
{body}
'''
    ready = directory / f"{name}.pid"
    return Program(
        name=name, command=[sys.executable, "-c", code], environ={"PATH": "/usr/bin:/bin"},
        rank=rank, is_ready=ready.exists, **more,
    )

POLITE = '''
def end(*_):
    note("ended")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("hello", flush=True)
while True: signal.pause()
'''
STUBBORN = '''
import subprocess
signal.signal(signal.SIGTERM, signal.SIG_IGN)
inner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
(directory / "inner.pid").write_text(str(inner.pid))
while True: signal.pause()
'''

async def plan(supervisor):
    await supervisor.start(program("base", 0, POLITE))
    await supervisor.start(program("steady", 1, POLITE))
    await supervisor.start(program("stubborn", 1, STUBBORN, stop_within_s=float(sys.argv[2])))
    await supervisor.start(program("last", 2, POLITE))
    print("all started", flush=True)

supervise(plan, Console(sys.stdout, directory / "logs"))
"""

NAMES = ("base", "steady", "stubborn", "last", "inner")


class Running:
    """A supervisor in a process of its own, and what it keeps."""

    def __init__(self, directory: Path, *, patience_s: float) -> None:
        self.directory = directory
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(directory), str(patience_s)],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.lines = []
        for line in self.process.stdout:
            self.lines.append(line)
            if "all started" in line:
                break
        wait_until((directory / "inner.pid").exists, "the inner process runs")

    def pid(self, name: str) -> int:
        return int((self.directory / f"{name}.pid").read_text())

    def pids(self) -> list[int]:
        return [self.pid(name) for name in NAMES]

    def notes(self) -> list[str]:
        return (self.directory / "notes").read_text().splitlines()


@pytest.fixture
def patience_s() -> float:
    return 0.2


@pytest.fixture
def running(tmp_path: Path, patience_s: float) -> Iterator[Running]:
    running = Running(tmp_path, patience_s=patience_s)
    yield running
    running.process.terminate()
    running.process.communicate(timeout=60)


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def all_gone(pids: list[int]) -> bool:
    return all(is_gone(pid) for pid in pids)


def test_programs_start_in_order_and_their_lines_carry_their_names(running: Running) -> None:
    assert running.notes() == ["base began", "steady began", "stubborn began", "last began"]
    assert "base     | hello\n" in running.lines
    assert (running.directory / "logs" / "base.log").read_text() == "hello\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_the_highest_rank_first(running: Running, number: int) -> None:
    pids = running.pids()
    running.process.send_signal(number)
    assert running.process.wait(60) == 0
    assert all_gone(pids)
    assert running.notes()[4:] == ["last ended", "steady ended", "base ended"]


@pytest.mark.parametrize("patience_s", [600.0])
def test_a_second_ctrl_c_waits_for_nobody(running: Running) -> None:
    pids = running.pids()
    running.process.send_signal(signal.SIGINT)
    wait_until(lambda: "steady ended" in running.notes(), "the first Ctrl-C was understood")
    assert running.process.poll() is None
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(60) == 0
    assert all_gone(pids)


def test_a_program_that_exits_is_started_again_and_nothing_else_is(running: Running) -> None:
    before = {name: running.pid(name) for name in NAMES}
    os.kill(before["steady"], signal.SIGKILL)
    wait_until(lambda: running.notes().count("steady began") == 2, "it is started again")
    wait_until(lambda: running.pid("steady") != before["steady"], "its new pid is written")
    assert running.pid("base") == before["base"]
    log = (running.directory / "logs" / "steady.log").read_text()
    assert "was ended by SIGKILL; starting again in 0.5 s" in log


def test_what_a_dead_program_left_behind_is_ended_too(running: Running) -> None:
    left = running.pid("inner")
    os.kill(running.pid("stubborn"), signal.SIGKILL)
    wait_until(lambda: is_gone(left), "the orphan is gone")


def test_when_the_supervisor_is_killed_nothing_goes_on(running: Running) -> None:
    pids = running.pids()
    running.process.kill()
    wait_until(lambda: all_gone(pids), "the guardian has ended them")
    assert running.notes()[4:] == ["last ended", "steady ended", "base ended"]


def test_a_program_that_never_gets_ready_fails_the_start(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from app.supervisor import Console, Program, StartFailed, supervise
        async def plan(supervisor):
            await supervisor.start(Program(name="broken", command=[sys.executable, "-c", "1/0"],
                environ={{}}, rank=0, is_ready=lambda: False))
        try:
            supervise(plan, Console(sys.stdout, Path({str(tmp_path)!r})))
        except StartFailed as error:
            print(error)
    """)
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=True
    )
    assert answer.stdout.endswith("broken exited with status 1 before it was ready\n")
    assert "broken   | ZeroDivisionError: division by zero" in answer.stdout


def test_pauses_grow_to_a_bound_and_start_over_after_a_stable_run() -> None:
    pauses = Pauses()
    grown = [pauses.after(0) for _ in range(10)]
    assert grown[:3] == [FIRST_PAUSE_S, FIRST_PAUSE_S * 2, FIRST_PAUSE_S * 4]
    assert grown[-1] == LONGEST_PAUSE_S
    assert pauses.after(STABLE_AFTER_S) == FIRST_PAUSE_S


def test_lines_are_put_together_whatever_the_size_of_the_reads(tmp_path: Path) -> None:
    out = io.StringIO()
    channel = Console(out, tmp_path).channel("x")
    for part in (b"one\ntw", b"o\n", b"\xff", b" three"):
        channel.feed(part)
    channel.close()
    assert out.getvalue() == "x        | one\nx        | two\nx        | \ufffd three\n"
    assert (tmp_path / "x.log").read_bytes() == b"one\ntwo\n\xff three\n"


def test_a_large_log_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_bytes(b"." * (ROTATE_AT + 1))
    Console(io.StringIO(), tmp_path).channel("x").close()
    assert (tmp_path / "x.log").stat().st_size == 0
    assert (tmp_path / "x.log.1").stat().st_size == ROTATE_AT + 1


def test_a_directory_has_one_supervisor_and_the_second_learns_whom(tmp_path: Path) -> None:
    with (
        exclusive(tmp_path),
        pytest.raises(DirectoryInUse, match=f"process {os.getpid()}"),
        exclusive(tmp_path),
    ):
        pytest.fail("two hold it")
    with exclusive(tmp_path):
        pass


def test_a_line_that_is_expected_of_every_run_is_left_out(tmp_path: Path) -> None:
    out = io.StringIO()
    channel = Console(out, tmp_path).channel("x", (b"of no use",))
    channel.feed(b"one\nthis is of no use here\ntwo\n")
    channel.close()

    assert [line.split("| ")[1] for line in out.getvalue().splitlines()] == ["one", "two"]
    assert (tmp_path / "x.log").read_bytes() == b"one\ntwo\n"
