"""Sending signals, and giving them to the nodes that wait for them.

A signal is durable, and given to a node if one waits, once `send` has returned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from app.caller import Caller
from app.store import signal_statements as sql
from app.store.audit import by
from app.store.keys import FIND_KEY, STORE_KEY, RequestKey
from app.store.records import Effect, Fence
from app.store.sessions import Sessions, StatementSession

#: So many signals of an execution are kept while no node waits for them.
MOST_KEPT = 1000

_FINAL = frozenset({"completed", "failed", "stopped"})


@dataclass(frozen=True, slots=True)
class Sent:
    """A signal was taken: the node that it was given to, None while it is kept.

    `effect` says whose process is to hear of it; `is_runnable` that nobody owns the execution
    and it may go on.
    """

    node_id: str | None
    effect: Effect
    is_runnable: bool


@dataclass(frozen=True, slots=True)
class SentBefore:
    """The key was sent before: with a body of this hash. The signal went to this node, or None."""

    body_hash: str
    node_id: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """No signal was taken, because of the execution's status."""

    status: str


@dataclass(frozen=True, slots=True)
class Full:
    """No signal was taken: as many are kept as may be."""


class Kept(NamedTuple):
    """A signal that is kept, and when it came."""

    id: int
    name: str
    sent_at: datetime


class Wait(NamedTuple):
    """A node that waits for a signal, until its time has passed; None for ever."""

    node_id: str
    name: str
    until: datetime | None


class SignalStore:
    """Sends signals. Raises StoreUnavailable."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def send(
        self,
        execution_id: str,
        name: str,
        payload: str,
        key: RequestKey | None = None,
        caller: Caller | None = None,
    ) -> Sent | SentBefore | Refused | Full | None:
        """Send a signal with `payload`, a JSON text; None where there is no such execution."""
        with self._sessions.session() as session:
            return session.transact(
                lambda: _send(session, execution_id, name, payload, key, caller)
            )


def _send(
    session: StatementSession,
    execution_id: str,
    name: str,
    payload: str,
    key: RequestKey | None,
    caller: Caller | None,
) -> Sent | SentBefore | Refused | Full | None:
    # Whoever sends to an execution waits here for those before, so a key is found or is new.
    locked = session.execute(sql.LOCK, execution_id)
    if not locked:
        return None
    if key is not None and (known := _sent_before(session, execution_id, key)) is not None:
        return known
    [(status,)] = locked
    if status in _FINAL:
        return Refused(status)
    kept = session.execute(sql.KEEP, execution_id, name, payload, MOST_KEPT, *by(caller))
    if not kept:
        return Full()
    [(signal_id,)] = kept
    if key is not None:
        named = (key.owner_id, key.route, key.key, key.body_hash)
        session.execute(STORE_KEY, *named, [str(signal_id)])
    return _give(session, execution_id, signal_id)


def _sent_before(
    session: StatementSession, execution_id: str, key: RequestKey
) -> SentBefore | None:
    for body_hash, made in session.execute(FIND_KEY, key.owner_id, key.route, key.key):
        return SentBefore(body_hash, _receiver(session, execution_id, made))
    return None


def _receiver(session: StatementSession, execution_id: str, made: Sequence[str]) -> str | None:
    [signal_id] = made
    for (node_id,) in session.execute(sql.RECEIVER, execution_id, int(signal_id)):
        return str(node_id) if node_id is not None else None
    return None


def _give(session: StatementSession, execution_id: str, signal_id: int) -> Sent:
    given = _match(session, execution_id)
    if not given:
        return Sent(None, Effect(execution_id), is_runnable=False)
    [(owner, is_runnable)] = session.execute(sql.GIVEN, execution_id)
    effect = Effect(execution_id, None, () if owner is None else [owner])
    return Sent(given.get(signal_id), effect, is_runnable)


def give_kept(session: StatementSession, fence: Fence) -> None:
    """Give the owner's nodes what is kept, if its fence holds; in a transaction."""
    if session.execute(sql.LOCK_OWN, fence.execution_id, fence.epoch):
        _match(session, fence.execution_id)


def _match(session: StatementSession, execution_id: str) -> dict[int, str]:
    """Give signals to nodes that wait; for a transaction that has locked the execution's row."""
    waits = [Wait(*row) for row in session.execute(sql.OPEN_WAITS, execution_id)]
    if not waits:
        return {}
    names = sorted({wait.name for wait in waits})
    kept = [Kept(*row) for row in session.execute(sql.KEPT, execution_id, names)]
    given = match(kept, waits)
    if given:
        session.execute(sql.GIVE, execution_id, list(given), list(given.values()))
    return given


def match(kept: Iterable[Kept], waits: Sequence[Wait]) -> dict[int, str]:
    """Which node each signal goes to: signals in the order of arrival, nodes in document order.

    A node whose time had passed when a signal came doesn't take it, even if nobody has ended its
    wait yet; one that had come before, it does, however late it is given.
    """
    given: dict[int, str] = {}
    taken: set[str] = set()
    for signal in kept:
        for wait in waits:
            is_open = wait.name == signal.name and wait.node_id not in taken
            if is_open and (wait.until is None or signal.sent_at < wait.until):
                given[signal.id] = wait.node_id
                taken.add(wait.node_id)
                break
    return given
