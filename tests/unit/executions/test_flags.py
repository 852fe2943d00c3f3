"""A flag that is an event only once it is waited on."""

from __future__ import annotations

import threading

from app.executions.flags import LazyFlag
from tests.waiting import wait_until


def test_it_is_not_set_until_it_is() -> None:
    flag = LazyFlag()
    assert not flag.is_set()
    assert not flag.wait(0)
    flag.set()
    assert flag.is_set()


def test_who_waits_for_what_was_set_does_not_wait() -> None:
    flag = LazyFlag()
    flag.set()
    assert flag.wait()


def test_whoever_waits_is_woken() -> None:
    flag = LazyFlag()
    told: list[bool] = []
    threads = [threading.Thread(target=lambda: told.append(flag.wait(60))) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert not told
    flag.set()
    for thread in threads:
        thread.join(60)
    assert told == [True] * 3


def test_nobody_who_begins_to_wait_as_it_is_set_is_forgotten() -> None:
    for _ in range(200):
        flag = LazyFlag()
        told: list[bool] = []
        thread = threading.Thread(target=lambda f=flag, t=told: t.append(f.wait(60)))
        thread.start()
        flag.set()
        wait_until(lambda t=told: t, "it was woken")
        thread.join(60)
        assert told == [True]
