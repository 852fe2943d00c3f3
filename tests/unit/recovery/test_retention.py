from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from app.recovery.retention import (
    DESCENDANTS,
    EXECUTIONS,
    MOST_S,
    READERS_MS,
    REST_S,
    ROWS,
    Retention,
)
from app.store.records import Deleted, Place

BEGIN = datetime(2026, 1, 2, tzinfo=UTC)


@dataclass
class Store:
    """So many executions, all of them old; each deletion takes a fifth of what a sweep may take."""

    executions: int
    purgeable: int = 0
    descendants: int = 0
    descendants_each: int = 0
    now: float = 0.0
    purges: int = 0
    places: list[Place | None] = field(default_factory=list)
    noted: int = 0

    def delete_roots(self, days: int, after: Place | None, limit: int) -> Deleted:
        assert (days, limit) == (7, EXECUTIONS)
        self.now += MOST_S / 5
        self.places.append(after)
        first = 0 if after is None else int(after[1]) + 1
        gone = min(limit, self.executions - first)
        last = first + gone - 1
        self.descendants += gone * self.descendants_each
        is_over = gone < limit
        return Deleted(gone, None if is_over else (BEGIN + timedelta(seconds=last), str(last)))

    def delete_descendants(self, roots: int, limit: int) -> int:
        assert (roots, limit) == (EXECUTIONS, DESCENDANTS)
        self.now += MOST_S / 5
        taken = min(self.descendants, limit)
        self.descendants -= taken
        return int(taken > 0)

    def purge(self, older_than_ms: int, executions: int, rows: int) -> int:
        assert older_than_ms == READERS_MS
        self.purges += 1
        taken = min(self.purgeable, executions)
        self.purgeable -= taken
        return taken

    def forget_audit(self, days: int, rows: int) -> int:
        assert (days, rows) == (7, ROWS)
        gone = min(self.noted, rows)
        self.noted -= gone
        return gone


def retention(store: Store, days: int = 7) -> Retention:
    return Retention(store, days, lambda: store.now)


def test_a_round_goes_from_the_oldest_to_the_youngest() -> None:
    store = Store(executions=EXECUTIONS + 1)

    retention(store).turn()

    last = EXECUTIONS - 1
    assert store.places == [None, (BEGIN + timedelta(seconds=last), str(last))]


def test_a_sweep_deletes_a_little_and_the_next_one_goes_on_there() -> None:
    store = Store(executions=100 * EXECUTIONS)
    kept = retention(store)

    kept.turn()
    first = len(store.places)
    kept.turn()

    assert first > 1
    last = first * EXECUTIONS - 1
    assert store.places[first] == (BEGIN + timedelta(seconds=last), str(last))


def test_what_must_not_wait_comes_between_two_deletions() -> None:
    store = Store(executions=100 * EXECUTIONS)
    seen: list[int] = []

    Retention(store, 7, lambda: store.now, lambda: seen.append(len(store.places))).turn()

    assert len(store.places) > 1
    assert seen == list(range(len(store.places)))


def test_after_a_round_nothing_is_asked_for_a_while() -> None:
    store = Store(executions=3)
    kept = retention(store)

    kept.turn()
    kept.turn()
    assert len(store.places) == 1

    store.now += REST_S
    kept.turn()
    assert store.places == [None, None]


def test_what_belonged_to_the_deleted_goes_first() -> None:
    store = Store(executions=0, purgeable=3 * EXECUTIONS)

    retention(store).turn()

    assert (store.purgeable, store.purges, len(store.places)) == (0, 4, 1)


def test_zero_days_keep_everything_but_what_was_deleted_before() -> None:
    store = Store(executions=10, purgeable=1)

    retention(store, days=0).turn()

    assert (store.purgeable, store.places) == (0, [])


def test_descendants_of_the_deleted_go_before_further_roots_a_little_at_each_sweep() -> None:
    store = Store(executions=0, descendants=9 * DESCENDANTS)
    kept = retention(store)

    kept.turn()
    assert store.descendants > 0
    assert store.places == []
    kept.turn()
    kept.turn()

    assert (store.descendants, store.places) == (0, [None])


def test_the_descendants_of_a_rounds_last_roots_do_not_wait_for_the_next_round() -> None:
    store = Store(executions=3, descendants_each=1)

    retention(store).turn()

    assert (store.descendants, len(store.places)) == (0, 1)


def test_what_was_noted_long_ago_goes_a_little_at_each_sweep() -> None:
    store = Store(executions=0, noted=3 * ROWS)
    kept = retention(store)

    kept.turn()
    assert store.noted == 2 * ROWS
    for _ in range(3):
        kept.turn()
    assert store.noted == 0

    store.noted = 1
    kept.turn()
    assert store.noted == 1
    store.now += REST_S
    kept.turn()
    assert store.noted == 0


def test_zero_days_keep_what_was_noted() -> None:
    store = Store(executions=0, noted=5)

    retention(store, days=0).turn()

    assert store.noted == 5
