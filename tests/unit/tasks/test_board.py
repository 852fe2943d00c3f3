"""What a child leaves for its parent to see, and what the parent makes of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from typing import Any

import orjson
import psycopg2
import pytest

from app.errors import StoreUnavailable
from app.store.records import Overdue
from tasks.board import SLOT_BYTES, Board
from tasks.frozen import FROZEN_AFTER_S, FrozenWatch

OVERDUE = Overdue("EX1", "nö de", 2, 0, "w1/7", '{"error":{}}')
TEXT = orjson.dumps([*OVERDUE])


def test_a_slot_says_what_its_child_said_last() -> None:
    first, second = Board(2).slots
    first.open(17, 3.0)
    second.open(18, 4.0)

    first.post(9.5, b"mine")
    first.beat(5.0)

    assert tuple(first.read()) == (17, 5.0, 9.5, b"mine")
    assert tuple(second.read()) == (18, 4.0, inf, b"")


def test_what_does_not_fit_is_not_watched() -> None:
    [slot] = Board(1).slots
    slot.open(17, 3.0)
    slot.post(9.5, b"mine")

    slot.post(9.5, b"x" * SLOT_BYTES)

    assert slot.read().due == inf


def test_a_child_beyond_those_planned_has_no_slot() -> None:
    board = Board(1)
    assert board.slot(0) is board.slots[0]
    assert board.slot(1) is None


@dataclass
class Parent:
    """A parent whose child said this, and what it does at a time."""

    now: float
    is_away: bool = False
    refusal: psycopg2.Error | None = None
    handed_in: list[Overdue] = field(default_factory=list)
    woken: list[tuple[str, str | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.board = Board(2)
        self.slot = self.board.slots[0]
        store: Any = self
        self.watch = FrozenWatch(
            self.board, store, lambda *woken: self.woken.append(woken), clock=lambda: self.now
        )

    def time_out(self, node: Overdue) -> str | None:
        if self.is_away:
            raise StoreUnavailable("away")
        if self.refusal is not None:
            raise self.refusal
        self.handed_in.append(node)
        return "w2"


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def test_a_frozen_child_past_its_time_is_settled_for_and_killed(
    child: subprocess.Popen[bytes],
) -> None:
    parent = Parent(now=100.0)
    parent.slot.open(child.pid, 100 - FROZEN_AFTER_S - 1)
    parent.slot.post(99.0, TEXT)

    parent.watch.look()

    assert child.wait(60) == -9
    assert parent.handed_in == [OVERDUE]
    assert parent.woken == [("EX1", "w2")]
    parent.watch.look()
    assert len(parent.handed_in) == 1


@pytest.mark.parametrize(
    ("beat", "due"),
    [(100.0, 1.0), (1.0, 100.5), (1.0, inf)],
    ids=["it lives", "its time is not up", "nothing runs"],
)
def test_a_child_that_may_yield_is_left_alone(
    child: subprocess.Popen[bytes], beat: float, due: float
) -> None:
    parent = Parent(now=100.0)
    parent.slot.open(child.pid, beat)
    parent.slot.post(due, TEXT)

    parent.watch.look()

    assert child.poll() is None
    assert parent.handed_in == []


def test_what_the_database_refuses_does_not_end_the_watch(child: subprocess.Popen[bytes]) -> None:
    parent = Parent(now=100.0, refusal=psycopg2.DataError("no such thing"))
    parent.slot.open(child.pid, 1.0)
    parent.slot.post(2.0, TEXT)
    parent.watch.look()
    assert child.poll() is None

    parent.refusal = None
    parent.watch.look()

    assert child.wait(60) == -9


def test_a_child_is_not_killed_before_its_timeout_is_entered(
    child: subprocess.Popen[bytes],
) -> None:
    parent = Parent(now=100.0, is_away=True)
    parent.slot.open(child.pid, 1.0)
    parent.slot.post(2.0, TEXT)
    parent.watch.look()
    assert child.poll() is None

    parent.is_away = False
    parent.watch.look()

    assert child.wait(60) == -9


def test_what_has_died_is_left_to_the_sweep(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    parent = Parent(now=100.0)
    # This very process is not its own child.
    for slot, pid in zip(parent.board.slots, (child.pid, os.getpid()), strict=True):
        slot.open(pid, 1.0)
        slot.post(2.0, TEXT)

    parent.watch.look()

    assert parent.handed_in == []
    assert [slot.read().pid for slot in parent.board.slots] == [0, 0]
