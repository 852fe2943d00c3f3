"""Where the time goes: samples of a worker's child and of the API, and PostgreSQL by statement.

py-spy looks from outside, 200 times a second. PostgreSQL writes how long a sample of its
statements took, commit and flush included, into its log.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks import flows, w5_batch, w5_single
from benchmarks.options import Options
from benchmarks.stack import Stack

RATE_HZ = 200
#: How long (s) a profile is taken; the load goes on for as long.
SECONDS = 6
#: The share of statements that PostgreSQL logs.
SAMPLED = 0.05
SHOWN = 12

_FRAME = re.compile(r"^(?P<function>.+) \((?P<file>[^()]+?)(:\d+)?\)$")
_DURATION = re.compile(r"duration: (?P<ms>[\d.]+) ms  statement: (?P<statement>.{1,60})")
_PREPARED = re.compile(r"EXECUTE (\w+)")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a profile: what, its share (%), and for functions the share with callees (%)."""

    what: str
    share: float
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Statement:
    """A kind of statement: its share (%) of all statements' time, and its mean (ms)."""

    what: str
    share: float
    mean_ms: float


@dataclass(slots=True)
class Profile:
    """What was found."""

    worker: list[Line]
    web: list[Line]
    statements: list[Statement]


def measure(stack: Stack, options: Options) -> Profile:
    """Profile a child under batches, then the API under single requests."""
    flow_id = stack.api.store(flows.w5())
    with sampled_statements(stack) as log:
        worker = _under_load(
            stack,
            _child_of(stack, "workers"),
            lambda: w5_batch.run(stack, flow_id, options.count),
        )
        statements = read_statements(log())
    web = _under_load(
        stack,
        _child_of(stack, "web"),
        lambda: w5_single.run(stack, flow_id, options.single_count),
    )
    return Profile(worker, web, statements)


def read_stacks(lines: Iterable[str]) -> list[Line]:
    """Count py-spy's stacks, one a line, outermost first, by function."""
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        names = [_name(frame) for frame in stack.split(";")]
        own[names[-1]] += int(count)
        for name in set(names):
            total[name] += int(count)
    everything = sum(own.values()) or 1
    return [
        Line(name, 100 * count / everything, 100 * total[name] / everything)
        for name, count in own.most_common(SHOWN)
    ]


def read_statements(log: str) -> list[Statement]:
    """Add up the durations in PostgreSQL's log by statement."""
    spent: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for match in _DURATION.finditer(log):
        what = _kind(match["statement"])
        spent[what] += float(match["ms"])  # type: ignore[assignment]
        count[what] += 1
    everything = sum(spent.values()) or 1.0
    return [
        Statement(what, 100 * ms / everything, ms / count[what])
        for what, ms in spent.most_common(SHOWN)
    ]


@contextmanager
def sampled_statements(stack: Stack) -> Iterator[Callable[[], str]]:
    """Have PostgreSQL log a share of its statements; gives what reads that part of the log."""
    log = stack.directory / "logs" / "postgres.log"
    begin = log.stat().st_size
    stack.database.run("ALTER SYSTEM SET log_min_duration_sample = 0")
    stack.database.run(f"ALTER SYSTEM SET log_statement_sample_rate = {SAMPLED}")
    stack.database.ask("SELECT pg_reload_conf()")
    try:
        yield lambda: log.read_bytes()[begin:].decode(errors="replace")
    finally:
        stack.database.run("ALTER SYSTEM RESET log_min_duration_sample")
        stack.database.run("ALTER SYSTEM RESET log_statement_sample_rate")
        stack.database.ask("SELECT pg_reload_conf()")


def _under_load(stack: Stack, victim: psutil.Process, load: Callable[[], Any]) -> list[Line]:
    """Profile one process while the load goes on, round after round."""
    told = stack.directory / f"profile-{victim.pid}.txt"
    command = [
        *(str(Path(sys.executable).with_name("py-spy")), "record", "--function", "--nonblocking"),
        *(f"--pid={victim.pid}", f"--rate={RATE_HZ}", f"--duration={SECONDS}"),
        *("--format=raw", f"--output={told}"),
    ]
    ended = threading.Event()

    def profile() -> None:
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        ended.set()

    thread = threading.Thread(target=profile)
    thread.start()
    while not ended.is_set():
        load()
    thread.join()
    return read_stacks(told.read_text().splitlines()) if told.exists() else []


def _child_of(stack: Stack, kind: str) -> psutil.Process:
    """A process that does the work: the parents of such kinds only look after them."""
    leader = next(process for process in stack.kinds()[kind] if process.ppid() == stack.leader.pid)
    children: list[psutil.Process] = leader.children()
    return children[0] if children else leader


def _name(frame: str) -> str:
    match = _FRAME.match(frame)
    if match is None:
        return frame
    parts = Path(match["file"]).parts
    # From the package's own folder on: where it is installed says nothing.
    if "site-packages" in parts:
        parts = parts[parts.index("site-packages") + 1 :]
    return f"{match['function']} ({'/'.join(parts[-3:])})"


def _kind(statement: str) -> str:
    prepared = _PREPARED.match(statement)
    return prepared[1] if prepared else " ".join(statement.split())[:40]
