"""A connection of one's own, which outlives neither a loss nor the process that opened it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from app.errors import StoreUnavailable
from app.store.session import Statement
from app.store.sessions import Sessions, StatementSession

T = TypeVar("T")


class OwnSession:
    """What runs statements on a connection of its own. Not for several threads at once.

    Opened at the first use, so after a fork; opened anew after a loss.
    """

    def __init__(self, database: Sessions) -> None:
        self._database = database
        self._session: StatementSession | None = None

    def _opened(self) -> StatementSession:
        session = self._session
        if session is None or session.lost:
            session = self._session = self._database.open()
        return session

    def _run(self, statement: Statement, *args: object) -> list[tuple[Any, ...]]:
        session = self._opened()
        try:
            return session.execute(statement, *args)
        except StoreUnavailable:
            self.close()
            raise

    def _on_session(self, work: Callable[[StatementSession], T]) -> T:
        session = self._opened()
        try:
            return work(session)
        except StoreUnavailable:
            self.close()
            raise

    def _transact(self, work: Callable[[StatementSession], T]) -> T:
        session = self._opened()
        try:
            return session.transact(lambda: work(session))
        except StoreUnavailable:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next statement opens another."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def fileno(self) -> int | None:
        """The connection's file descriptor: a forked child must close its copy."""
        return None if self._session is None else self._session.fileno()
