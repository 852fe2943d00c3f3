"""What runs statements. PostgreSQL is one; what stands in for it answers the same statements."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from app.store.session import Statement

T = TypeVar("T")


class StatementSession(Protocol):
    """One connection in autocommit."""

    def execute(self, statement: Statement, *args: object) -> list[tuple[Any, ...]]:
        """Run a statement in a transaction of its own and give its rows.

        Raises StoreUnavailable where the connection is lost, which leaves open whether the
        statement was done.
        """
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Run the statements of the block in one transaction at READ COMMITTED."""
        ...

    def transact(self, work: Callable[[], T]) -> T:
        """Run `work` with its statements in one transaction; again, where locks prevented it.

        Raises StoreUnavailable.
        """
        ...

    def fileno(self) -> int | None:
        """The connection's file descriptor; None where there is none."""
        ...

    @property
    def lost(self) -> bool:
        """Whether the connection is known to be gone."""
        ...

    @property
    def is_pooled(self) -> bool:
        """Whether a pooler stands before the server: transactions may go to any session of it."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class Sessions(Protocol):
    """A database as one process sees it."""

    def open(self) -> StatementSession:
        """Open a session of one's own. Raises StoreUnavailable."""
        ...

    def session(self) -> AbstractContextManager[StatementSession]:
        """Lend a session of the pool. Raises StoreUnavailable."""
        ...
