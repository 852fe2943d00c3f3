"""The real statements on PostgreSQL, interleaved: each promise is kept, each fault is found.

A part of them; all 500 with `python -m tests.simulation --store postgres --seeds 500`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import ModuleType

import pytest

from app.store import run_statements, step_statements
from app.store.database import Statement
from tests.simulation.nodes import SHORT
from tests.simulation.outcome import Outcome
from tests.simulation.postgres import PostgresStore
from tests.simulation.world import Scenario, simulate

#: A fault is found within so many seeds, or it counts as not found.
SEEDS = 60

QUICK = Scenario(flows=SHORT)
LOSSES = Scenario(
    kinds=("lose lock",), counts=(6,), flows=("V2steady",), sends_steps=False, watched=0
)
NO_LOSSES = Scenario(
    counts=(0,), sends_steps=True, commands=False, clients=(6,), flows=("V2row",), watched=0
)

WRITES = ("WRITE", "REWRITE", "FINISH", "REFINISH")


@pytest.fixture(scope="module")
def store(new_database: Callable[[], str]) -> Iterator[PostgresStore]:
    store = PostgresStore(new_database())
    yield store
    store.close()


def explained(outcome: Outcome) -> str:
    """What a failing seed did."""
    schedule = "\n".join(outcome.trace)
    return f"{schedule}\nseed {outcome.seed}: {outcome.violation!r}"


@pytest.mark.parametrize("scenario", [QUICK, LOSSES, NO_LOSSES])
def test_every_promise_is_kept(store: PostgresStore, scenario: Scenario) -> None:
    for seed in range(4):
        outcome = simulate(seed, store.world, scenario)
        assert outcome.violation is None, explained(outcome)


def test_statements_meet_each_others_locks(store: PostgresStore) -> None:
    traces = (simulate(seed, store.world, NO_LOSSES).trace for seed in range(10))

    assert any("waits for a lock" in line for trace in traces for line in trace)


def plant(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, replaced: Mapping[str, str], *names: str
) -> None:
    """Change the text of statements."""
    for name in names:
        statement = getattr(module, name)
        text = statement.sql
        for old, new in replaced.items():
            assert old in text, f"{name} has no {old!r}"
            text = text.replace(old, new)
        monkeypatch.setattr(module, name, Statement(statement.name, statement.types, text))


def found(store: PostgresStore, scenario: Scenario) -> str:
    """The first promise that is seen to be broken."""
    for seed in range(SEEDS):
        outcome = simulate(seed, store.world, scenario)
        if outcome.violation is not None:
            return str(outcome.violation)
    return pytest.fail(f"not found within {SEEDS} seeds")


def test_a_write_without_its_fence(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    blind = {"AND epoch = $2 AND writes = $3": "AND $2 > 0 AND $3 >= 0"}
    plant(monkeypatch, run_statements, blind, *WRITES)

    assert "3: epoch" in found(store, LOSSES)


def test_a_guard_that_looks_first_and_writes_then(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = "WHERE id = $1 AND epoch = $2 AND writes = $3 AND wake = $4 AND completed_at IS NULL"
    looked = f"looked AS MATERIALIZED (SELECT id AS looked_id FROM chaingraph_executions {guard})"
    split = {
        guard: "FROM looked WHERE id = looked_id",
        "WITH guard AS (": f"WITH {looked}, guard AS (",
    }
    plant(monkeypatch, run_statements, split, "PARK")

    assert "a result was handed in" in found(store, NO_LOSSES)


def test_a_claim_that_locks_nothing(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, run_statements, {"FOR UPDATE SKIP LOCKED": ""}, "CLAIM_NEXT", "CLAIM_ONE")

    assert "3: claims what" in found(store, QUICK)


def test_parking_without_a_look_at_what_came(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, run_statements, {"AND wake = $4": "AND $4 >= 0"}, "PARK")

    assert "a result was handed in" in found(store, NO_LOSSES)


def test_a_wake_up_that_is_not_counted(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, step_statements, {"SET wake = wake + 1": "SET wake = wake"}, "WAKE")

    assert "a result was handed in" in found(store, NO_LOSSES)
