"""What a stretch of work cost: CPU by kind of process, transactions, and WAL."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import psutil

from benchmarks.database import Counters, Database
from benchmarks.figures import Costs
from benchmarks.rounds import Round

#: The load generator: this process and what it ran to its end.
LOAD = "load"

#: A backend hands its counts in when it has been idle for 10 s, or at the end of a transaction
#: a second after the last time.
COUNTED_WITHIN_S = 12.0
#: How long (s) a server that has nothing to do is watched.
WATCHED_S = 6.0

Kinds = Callable[[], Mapping[str, list[psutil.Process]]]
Turn = Callable[[], Round]


@dataclass(frozen=True, slots=True)
class Background:
    """What the server does in any second (per s) while there is nothing to do."""

    transactions: float
    writing: float
    wal_bytes: float


@dataclass(slots=True)
class Meter:
    """What rounds of one kind cost, done on one database of the server.

    CPU is added up over every round; what PostgreSQL counts is read around the last one.
    `database` asks the questions, and its own transactions don't count; `name` is the database
    that the work is done on.
    """

    label: str
    kinds: Kinds
    database: Database
    name: str
    _cpu_s: dict[str, float] = field(default_factory=dict, init=False)
    _executions: int = field(default=0, init=False)

    def work(self, turn: Turn) -> Round:
        """Have a round done."""
        before = cpu_by_kind(self.kinds())
        done = turn()
        after = cpu_by_kind(self.kinds())
        self._executions += done.count
        for kind, used in after.items():
            self._cpu_s[kind] = self._cpu_s.get(kind, 0.0) + used - before.get(kind, 0.0)
        return done

    def finish(self, turn: Turn, usual: Background) -> Costs:
        """Have the last round done; what one execution cost.

        Waits until the server has counted everything; what it does in that time anyway is
        taken off. What it does beside the work is part of the cost.
        """
        opened, asked = self.database.counters(self.name), self.database.asked
        count = self.work(turn).count
        time.sleep(COUNTED_WITHIN_S)
        now = self.database.counters(self.name)
        own = self.database.asked - asked if self.name == self.database.name else 0

        def each(after: int, before: int, usual_per_s: float) -> float:
            return (after - before - usual_per_s * COUNTED_WITHIN_S) / count

        return Costs(
            name=self.label,
            cpu_ms={
                kind: used * 1000 / self._executions for kind, used in sorted(self._cpu_s.items())
            },
            transactions=each(now.transactions - own, opened.transactions, usual.transactions),
            writing=each(now.writing, opened.writing, usual.writing),
            wal_bytes=each(now.wal_bytes, opened.wal_bytes, usual.wal_bytes),
        )


def observe_background(
    database: Database, names: Sequence[str], seconds: float = WATCHED_S
) -> dict[str, Background]:
    """Watch these databases of a server that has nothing to do."""
    time.sleep(COUNTED_WITHIN_S)
    before, asked = {name: database.counters(name) for name in names}, database.asked
    time.sleep(seconds)
    own = {database.name: database.asked - asked}
    return {
        name: _rates(before[name], database.counters(name), own.get(name, 0), seconds)
        for name in names
    }


def cpu_by_kind(kinds: Mapping[str, Iterable[psutil.Process]]) -> dict[str, float]:
    """CPU used so far (s), with that of children that have ended; and our own."""
    used = {kind: sum(map(_cpu_s, processes)) for kind, processes in kinds.items()}
    own = os.times()
    used[LOAD] = (
        used.get(LOAD, 0.0) + own.user + own.system + own.children_user + own.children_system
    )
    return used


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        # It ended since it was listed: its time is in its parent's from now on.
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def _rates(before: Counters, after: Counters, asked: int, seconds: float) -> Background:
    return Background(
        transactions=(after.transactions - before.transactions - asked) / seconds,
        writing=(after.writing - before.writing) / seconds,
        wal_bytes=(after.wal_bytes - before.wal_bytes) / seconds,
    )
