"""A prepared statement, and the connection that statements are carried out on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from app.errors import StoreUnavailable

#: How often a statement is tried again that another one's lock held up or deadlocked.
LOCK_TRIES = 5

Row = tuple[Any, ...]

T = TypeVar("T")

#: Asks which process of the server answers. A pooler says another one when it is connected to: its
#: own sessions are not the server's.
WHO_ANSWERS = "SELECT pg_backend_pid()"


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that is prepared once per connection.

    `name` is unique, `types` lists the parameters' PostgreSQL types, `sql` uses $1, $2, ….
    """

    name: str
    types: str
    sql: str
    #: The same types, one by one.
    type_names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        names = tuple(name.strip() for name in self.types.split(",")) if self.types else ()
        object.__setattr__(self, "type_names", names)


class LockedOut(Exception):
    """Another transaction's lock kept a statement from its row; it has changed nothing."""


class Session(ABC):
    """One connection in autocommit, with the statements prepared on it. For one thread."""

    #: Whether `transaction` is under way.
    _is_in_transaction = False
    #: Hears of each time that another transaction's lock kept a statement from its row.
    on_locked_out: Callable[[], object] | None = None
    #: Whether a pooler stands before the server, so that one statement may be another session's
    #: than the next: nothing can be prepared, and no lock is held.
    is_pooled = False

    def execute(self, statement: Statement, *args: object) -> list[Row]:
        """Run a statement in a transaction of its own and give its rows.

        A statement that a lock kept waiting for `lock_timeout`, or that deadlocked, has
        changed nothing and is tried again. Raises StoreUnavailable where the connection is
        lost, which leaves open whether the statement was done. Inside `transact` it is a part
        of that, and tried again with it.
        """
        if self._is_in_transaction:
            return self._execute(statement, args)
        return self._try_again(lambda: self._execute(statement, args), statement.name)

    def transact(self, work: Callable[[], T]) -> T:
        """Run `work` with its statements in one transaction at READ COMMITTED.

        Where a lock kept it waiting for `lock_timeout`, or it deadlocked, nothing has changed
        and all of it is tried again. Raises StoreUnavailable.
        """

        def attempt() -> T:
            with self.transaction():
                return work()

        return self._try_again(attempt, "a transaction")

    def _try_again(self, attempt: Callable[[], T], what: str) -> T:
        for left in reversed(range(LOCK_TRIES)):
            try:
                return attempt()
            except LockedOut:
                if self.on_locked_out is not None:
                    self.on_locked_out()
                if not left:
                    raise StoreUnavailable(f"{what}: a row stays locked") from None
        raise AssertionError("the last try returns or raises")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the statements of the block in one transaction at READ COMMITTED."""
        try:
            self._command("BEGIN")
            self._is_in_transaction = True
            yield
            self._command("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._is_in_transaction = False

    def _roll_back(self) -> None:
        if not self.lost:
            try:
                self._command("ROLLBACK")
            except StoreUnavailable:
                self.close()

    @abstractmethod
    def _execute(self, statement: Statement, args: Sequence[object]) -> list[Row]:
        """Prepare and run. Raises LockedOut, StoreUnavailable, or the driver's error."""

    @abstractmethod
    def _command(self, text: str) -> None:
        """Run a command without parameters and rows. Raises StoreUnavailable."""

    @property
    @abstractmethod
    def lost(self) -> bool:
        """Whether the connection is known to be gone."""

    @property
    @abstractmethod
    def backend_pid(self) -> int:
        """The process that serves the connection."""

    @abstractmethod
    def fileno(self) -> int:
        """The connection's file descriptor."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection."""
