"""Where the time goes: samples of a worker's children and of the API, and PostgreSQL by statement.

py-spy looks from outside, 200 times a second, at whoever holds the interpreter's lock, so that
waiting doesn't count. PostgreSQL writes how long a sample of its
statements took, commit and flush included, into its log.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections import Counter, defaultdict
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
SECONDS = 8
#: The share of statements that PostgreSQL logs.
SAMPLED = 0.05
SHOWN = 12

_FRAME = re.compile(r"^(?P<function>.+) \((?P<file>[^()]+?)(:\d+)?\)$")
_OURS = re.compile(r"\((app|tasks|web)/")
#: A text, or a step of the extended protocol with the name of what was prepared.
_DURATION = re.compile(
    r"duration: (?P<ms>[\d.]+) ms  "
    r"(?:statement: (?P<statement>.{1,60})|(?P<step>parse|bind|execute) (?P<name>\w+))"
)
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
    """Profile a worker under batches, then the API under single requests."""
    flow_id = stack.api.store(flows.w5())
    with sampled_statements(stack) as log:
        worker = _under_load(
            stack,
            _leader(stack, "workers"),
            lambda: w5_batch.run(stack, flow_id, options.count),
        )
        statements = read_statements(log())
    web = _under_load(
        stack,
        _leader(stack, "web"),
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
    ours = Counter({name: count for name, count in total.items() if _OURS.search(name)})
    shown = {name for name, _ in (*own.most_common(SHOWN), *ours.most_common(SHOWN))}
    return [
        Line(name, 100 * own[name] / everything, 100 * total[name] / everything)
        for name in sorted(shown, key=lambda name: (-total[name], name))
    ]


def read_statements(log: str) -> list[Statement]:
    """Add up the durations in PostgreSQL's log by statement."""
    spent: defaultdict[str, float] = defaultdict(float)
    count: Counter[str] = Counter()
    for match in _DURATION.finditer(log):
        what = match["name"] or _kind(match["statement"])
        spent[what] += float(match["ms"])
        count[what] += match["step"] in (None, "execute")
    everything = sum(spent.values()) or 1.0
    return [
        Statement(what, 100 * ms / everything, ms / max(1, count[what]))
        for what, ms in sorted(spent.items(), key=lambda each: -each[1])[:SHOWN]
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
    """Profile a process and its children while the load goes on, round after round."""
    told = stack.directory / f"profile-{victim.pid}.txt"
    command = [
        *(
            str(Path(sys.executable).with_name("py-spy")),
            "record",
            "--function",
            "--gil",
            "--subprocesses",
        ),
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


def _leader(stack: Stack, kind: str) -> psutil.Process:
    """The first process of a kind; those that do the work are its children."""
    return next(each for each in stack.kinds()[kind] if each.ppid() == stack.leader.pid)


def _name(frame: str) -> str:
    match = _FRAME.match(frame)
    if match is None:
        return frame
    parts = Path(match["file"]).parts
    return f"{match['function']} ({'/'.join(parts[-3:])})"


def _kind(statement: str) -> str:
    prepared = _PREPARED.match(statement)
    return prepared[1] if prepared else " ".join(statement.split())[:40]
