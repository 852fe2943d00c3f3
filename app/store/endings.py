"""Ending executions from outside: stopped by a caller, failed by a deadline.

`end_tree` is the one way to do it, for whoever holds a transaction open. What it gives is to be
published, and the owners to be woken, after the commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.store.ending_statements import END, LOCK, LOCK_CHILDREN, NOTE_ALL
from app.store.records import Effect, Told
from app.store.sessions import StatementSession
from app.store.sweep_statements import GIVE_UP

#: Why the descendants of an execution that failed are stopped.
PARENT_FAILED = "parent failed"


@dataclass(frozen=True, slots=True)
class OuterEnding:
    """How an execution is ended from outside, and why; `error_type` names a failure.

    Its descendants are stopped, with the message `descendants`, or the same one if None.
    """

    status: Literal["stopped", "failed"]
    message: str
    error_type: str | None = None
    descendants: str | None = None


def end_tree(
    session: StatementSession, execution_ids: Sequence[str], ending: OuterEnding
) -> list[Effect]:
    """End these executions and all their unfinished descendants; gives what was ended.

    Runs in the caller's transaction (`transact`). An execution is taken from its owner:
    its epoch moves on, and nothing that was granted in it counts any more. What is final stays
    as it is, and so does what descends from it.
    """
    ids = [id_ for (id_,) in session.execute(LOCK, list(execution_ids))]
    args = (ending.status, ending.message, ending.error_type)
    ended = _effects(session.execute(END, ids, *args)) if ids else []
    return ended + end_descendants(session, ids, ending.descendants or ending.message)


def end_descendants(
    session: StatementSession, execution_ids: Sequence[str], message: str
) -> list[Effect]:
    """Stop all unfinished descendants of executions that this very transaction has ended."""
    level = list(execution_ids)
    parents: list[str] = []
    effects: list[Effect] = []
    while level:
        parents += level
        level = [id_ for (id_,) in session.execute(LOCK_CHILDREN, level)]
        if level:
            effects += _effects(session.execute(END, level, "stopped", message, None))
    if parents:
        session.execute(NOTE_ALL, parents)
    return effects


def give_up(
    session: StatementSession, execution_id: str, *loss: Any
) -> tuple[list[tuple[Any, ...]], list[Effect]]:
    """Fail for good what crashed too often, and stop what descends from it.

    Gives what it told, and what was stopped. `loss` are the parameters of GIVE_UP from the
    second on. Runs in the caller's transaction.
    """
    told = session.execute(GIVE_UP, execution_id, *loss)
    return told, end_descendants(session, [execution_id], PARENT_FAILED) if told else []


def _effects(rows: Sequence[tuple[Any, ...]]) -> list[Effect]:
    return [
        Effect(id_, Told(first, at, list(zip(types, data, strict=True))), owners or ())
        for id_, first, at, types, data, owners in rows
    ]
