"""The store as a simulated process sees it: sessions whose statements travel over lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from app.store.records import Fence
from app.store.session import Row, Session, Statement
from tests.simulation.lines import Line, StoreServer

T = TypeVar("T")

#: Statements whose first parameters are an execution and its epoch begin so.
_OF_RUNS = ("write_", "rewrite_", "park", "release", "post_steps", "drop_steps")


class ServerSession(Protocol):
    """A session on the server's side: PostgreSQL's, or the one in memory.

    `is_atomic` says that a transaction is one step: nobody's statement comes in between.
    """

    is_atomic: bool

    def command(self, text: str) -> None:
        """Begin, commit or roll back a transaction."""
        ...

    def execute(self, statement: Statement, *args: object) -> list[Row]:
        """Do a statement and give its rows."""
        ...

    def close(self) -> None:
        """Let the session's locks go."""
        ...


class Backend(Protocol):
    """A store that runs in the world's time."""

    def open(self, *, pooled: bool) -> ServerSession:
        """Open a session, of the kind that the pool has or of the other."""
        ...

    def reading(self) -> Any:
        """Lend what the API's reads are made on."""
        ...


class SimSession(Session):
    """A session of a process: every statement is asked for over its line."""

    def __init__(self, line: Line, server_side: ServerSession) -> None:
        self.line = line
        self._server_side = server_side
        self._is_at_once = False
        #: The fences of the statement that is asked for last, or of those of its transaction. A
        #: list of its own for each: what is executed late was asked for under its own.
        self._under: list[Fence] = []
        line.on_end = server_side.close

    def transact(self, work: Callable[[], T]) -> T:
        """Where a transaction is one step, the client's part in it has to be, too."""
        if not self._server_side.is_atomic:
            return super().transact(work)

        def at_once() -> T:
            self._is_at_once = True
            try:
                return work()
            finally:
                self._is_at_once = False

        self._under = []
        result: T = self.line.ask("transaction", at_once, _first_of(self._under))
        return result

    def _execute(self, statement: Statement, args: Sequence[Any]) -> list[Row]:
        run, fence = self._server_side.execute, _fence(statement.name, args)
        if not (self._is_at_once or self._is_in_transaction):
            self._under = []
        if fence is not None:
            self._under.append(fence)
        if self._is_at_once:
            return run(statement, *args)
        rows: list[Row] = self.line.ask(
            statement.name, lambda: run(statement, *args), _first_of(self._under)
        )
        return rows

    def _command(self, text: str) -> None:
        if text == "BEGIN":
            self._under = []
        self.line.ask(text, lambda: self._server_side.command(text), _first_of(self._under))

    @property
    def lost(self) -> bool:
        return self.line.is_cut

    @property
    def backend_pid(self) -> int:
        raise NotImplementedError

    def fileno(self) -> int:
        raise NotImplementedError

    def close(self) -> None:
        self.line.close()


class SimDatabase:
    """What `app.store.database.Database` is to the process whose task runs."""

    def __init__(self, server: StoreServer, backend: Backend) -> None:
        self._server = server
        self._backend = backend
        self._spare: list[SimSession] = []

    def open(self) -> SimSession:
        return self._open(pooled=False)

    def _open(self, *, pooled: bool) -> SimSession:
        return SimSession(self._server.connect(), self._backend.open(pooled=pooled))

    @contextmanager
    def session(self) -> Iterator[SimSession]:
        while self._spare:
            session = self._spare.pop()
            if not session.lost:
                break
        else:
            session = self._open(pooled=True)
        try:
            yield session
        finally:
            self._spare.append(session)

    @contextmanager
    def reading(self) -> Iterator[Any]:
        """Read at one moment; the reply may be lost like any other."""
        line = self._server.connect()
        line.ask("reading", list, lambda: None)
        with self._backend.reading() as lent:
            yield lent
        line.close()


class Beside:
    """The store's sessions (app.store.sessions.Sessions) for who looks when all is over."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @contextmanager
    def session(self) -> Iterator[Any]:
        session = self._backend.open(pooled=True)
        try:
            yield session
        finally:
            session.close()


def _first_of(fences: Sequence[Fence]) -> Callable[[], Fence | None]:
    return lambda: fences[0] if fences else None


def _fence(name: str, args: Sequence[Any]) -> Fence | None:
    if name in {"hand_in_step", "release_step"}:
        return Fence(args[0], args[2], args[1])
    return Fence(args[0], args[1]) if name.startswith(_OF_RUNS) else None
