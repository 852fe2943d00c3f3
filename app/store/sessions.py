"""What runs statements. PostgreSQL is one; what stands in for it answers the same statements."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

from app.store.database import Statement


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

    def fileno(self) -> int | None:
        """The connection's file descriptor; None where there is none."""
        ...

    @property
    def lost(self) -> bool:
        """Whether the connection is known to be gone."""
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
