"""Looks at PostgreSQL itself all the time, beside the stack, and notes what must not be seen."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg2

from tests.chaos.evidence import Sightings

EVERY_S = 0.2

#: What is alive, or ended since the last looks.
EXECUTIONS = """
    SELECT id, status, epoch, writes, last_event_index, completed_at,
        waiting ->> 'for', start_requested_at IS NOT NULL
    FROM chaingraph_executions
    WHERE completed_at IS NULL OR completed_at > clock_timestamp() - interval '10 s'
"""
CLAIMS = """
    SELECT execution_id, node_id, coalesce(attempt, 0), epoch, worker_id
    FROM chaingraph_execution_claims WHERE status = 'active'
"""
#: One statement, so one moment: what waits for this holds no claim.
IDLE_OWNERS = """
    SELECT e.id FROM chaingraph_executions AS e
    JOIN chaingraph_execution_claims AS c ON c.execution_id = e.id AND c.node_id = ''
    WHERE c.status = 'active' AND e.epoch = c.epoch AND e.completed_at IS NULL
        AND e.waiting ->> 'for'
            IN ('start-signal', 'resume', 'breakpoint', 'children', 'timer', 'signal')
"""
CHECKPOINTS = """
    SELECT execution_id, node_id, seq, attempt, md5(outputs::text), completed_at
    FROM chaingraph_checkpoints
    WHERE status = 'completed' AND completed_at > clock_timestamp() - interval '10 s'
"""

#: Of what waits for these nobody expects that it moves.
_RESTS = {"start-signal", "resume", "breakpoint", "children", "timer", "signal", "retry"}


class Witness:
    """What was seen so far is in `sightings`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._is_over = threading.Event()
        self._counts: dict[str, tuple[int, int, int]] = {}
        self._begun_at = self._moved_at = time.monotonic()
        self.sightings = Sightings()

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look during the block."""
        with ThreadPoolExecutor(1, thread_name_prefix="witness") as pool:
            looks = pool.submit(self._look_on)
            try:
                yield
            finally:
                self._is_over.set()
            looks.result()

    def _look_on(self) -> None:
        while not self._is_over.is_set():
            try:
                connection = psycopg2.connect(self._url, connect_timeout=2)
            except psycopg2.Error:
                self._is_over.wait(EVERY_S)
                continue
            try:
                self._look_over(connection)
            except psycopg2.Error:
                # Taken away under our eyes, as everybody's connections are.
                continue
            finally:
                connection.close()

    def _look_over(self, connection: Any) -> None:
        connection.autocommit = True
        with connection.cursor() as cursor:
            while not self._is_over.is_set():
                self._see_executions(_rows(cursor, EXECUTIONS))
                self._see_claims(_rows(cursor, CLAIMS))
                self.sightings.idle_owners |= {row[0] for row in _rows(cursor, IDLE_OWNERS)}
                for row in _rows(cursor, CHECKPOINTS):
                    self.sightings.checkpoints.setdefault((row[0], row[1]), tuple(row[2:]))
                self.sightings.looks += 1
                self._is_over.wait(EVERY_S)

    def _see_executions(self, rows: list[tuple[Any, ...]]) -> None:
        now = time.monotonic()
        to_move = []
        for row in rows:
            id_, status, epoch, writes, index, completed_at, waiting, is_started = row
            if self._has_moved(id_, (epoch, writes, index)):
                self._moved_at = now
            if completed_at is not None:
                self.sightings.finals.setdefault(id_, (status, epoch, index, completed_at))
            elif is_started and status != "paused" and waiting not in _RESTS:
                to_move.append(id_)
        if to_move:
            stall = (now - self._moved_at, f"{to_move[0]}, until {now - self._begun_at:.1f} s")
            self.sightings.longest_stall = max(self.sightings.longest_stall, stall)
        else:
            self._moved_at = now

    def _has_moved(self, id_: str, counts: tuple[int, int, int]) -> bool:
        before = self._counts.get(id_, (0, 0, -1))
        # Each claim, which is another epoch, begins to count writes anew.
        if counts[:2] < before[:2] or counts[2] < before[2]:
            self.sightings.retreats.append(f"{id_}: epoch, writes, index {before}, then {counts}")
        self._counts[id_] = counts
        return counts != before

    def _see_claims(self, rows: list[tuple[Any, ...]]) -> None:
        for *claim, worker in rows:
            self.sightings.owners.setdefault((*claim,), set()).add(worker)  # type: ignore[arg-type]
        claimed = sum(1 for row in rows if not row[1])
        self.sightings.most_claimed = max(self.sightings.most_claimed, claimed)


def _rows(cursor: Any, statement: str) -> list[tuple[Any, ...]]:
    cursor.execute(statement)
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
