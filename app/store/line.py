"""A connection of one's own on libpq's extended protocol.

What the API asks goes through SQLAlchemy's pool and psycopg2, which knows simple queries alone:
each EXECUTE is a text to be quoted here and parsed there. The statements of a run are most of
what a worker and PostgreSQL do, and as prepared statements of the protocol they cost both half
of that, so those connections are psycopg's bare libpq.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
import psycopg
from psycopg import errors
from psycopg.adapt import Transformer
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus
from psycopg.pq.abc import PGresult

from app.errors import StoreUnavailable
from app.store.session import WHO_ANSWERS, LockedOut, Row, Session, Statement

Encoder = Callable[[Any], bytes]

_DONE = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)


def _text(value: str) -> bytes:
    encoded = value.encode()
    if b"\0" in encoded:
        # libpq would end the text there.
        raise ValueError("a text can't hold a NUL")
    return encoded


def _number(value: int) -> bytes:
    return b"%d" % value


def _flag(value: bool) -> bytes:
    return b"t" if value else b"f"


def _time(value: datetime) -> bytes:
    # As `isoformat` writes it, in an eighth of the time.
    return orjson.dumps(value)[1:-1]


def _texts(values: Sequence[str | None]) -> bytes:
    return _text("{" + ",".join([_item(value) for value in values]) + "}")


def _item(value: str | None) -> str:
    if value is None:
        return "NULL"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _numbers(values: Sequence[int | None]) -> bytes:
    return b"{%b}" % b",".join([b"NULL" if value is None else b"%d" % value for value in values])


def _times(values: Sequence[datetime | None]) -> bytes:
    return b"{%b}" % b",".join([b"NULL" if value is None else _time(value) for value in values])


#: The object identifiers of parameters' types, and how their values are written.
_PARAMETERS: Mapping[str, tuple[int, Encoder]] = {
    "boolean": (16, _flag),
    "bigint": (20, _number),
    "int": (23, _number),
    "text": (25, _text),
    "json": (114, _text),
    "timestamptz": (1184, _time),
    "int[]": (1007, _numbers),
    "bigint[]": (1016, _numbers),
    "text[]": (1009, _texts),
    "timestamptz[]": (1185, _times),
}


def _encoded(encoders: Sequence[Encoder], args: Sequence[Any]) -> list[Any]:
    return [
        None if value is None else encode(value)
        for encode, value in zip(encoders, args, strict=True)
    ]


class _Connection(psycopg.Connection[Any]):
    """One that may be dropped: libpq's own handle closes it then, but not a parent's copy."""

    def __del__(self, _warn: object = None, /) -> None:
        """Without the warning that psycopg has for this."""


class Line(Session):
    """One connection; the statements on it stay prepared as long as it is open."""

    def __init__(self, url: str, **parameters: Any) -> None:
        """Open it. `parameters` are libpq's. Raises StoreUnavailable."""
        try:
            self._opened = _Connection.connect(
                url, autocommit=True, client_encoding="UTF8", **parameters
            )
        except psycopg.OperationalError as error:
            raise StoreUnavailable(str(error).strip()) from error
        self._connection = self._opened.pgconn
        self._prepared: dict[str, tuple[bytes, Sequence[Encoder]]] = {}
        self._reader = Transformer(self._opened)
        self._calling = threading.Lock()
        self.is_pooled = self._is_pooled()

    def _is_pooled(self) -> bool:
        answer = self._call(self._connection.exec_, WHO_ANSWERS.encode())
        return answer.get_value(0, 0) != b"%d" % self.backend_pid

    def _execute(self, statement: Statement, args: Sequence[object]) -> list[Row]:
        result = (
            self._ask_unprepared(statement, args) if self.is_pooled else self._ask(statement, args)
        )
        self._reader.set_pgresult(result)
        return self._reader.load_rows(0, result.ntuples, tuple)

    def _ask(self, statement: Statement, args: Sequence[object]) -> PGresult:
        prepared = self._prepared.get(statement.name) or self._prepare(statement)
        name, encoders = prepared
        return self._call(self._connection.exec_prepared, name, _encoded(encoders, args))

    def _ask_unprepared(self, statement: Statement, args: Sequence[object]) -> PGresult:
        """In one message: it is all that a pooler passes on to one session."""
        types = [_PARAMETERS[name] for name in statement.type_names]
        values = _encoded([encode for _, encode in types], args)
        oids = [oid for oid, _ in types]
        return self._call(self._connection.exec_params, statement.sql.encode(), values, oids)

    def _prepare(self, statement: Statement) -> tuple[bytes, Sequence[Encoder]]:
        types = [_PARAMETERS[name] for name in statement.type_names]
        name = statement.name.encode()
        oids = [oid for oid, _ in types]
        self._call(self._connection.prepare, name, statement.sql.encode(), oids)
        prepared = name, [encode for _, encode in types]
        self._prepared[statement.name] = prepared
        return prepared

    def _command(self, text: str) -> None:
        self._call(self._connection.exec_, text.encode())

    def _call(self, function: Callable[..., PGresult], *args: Any) -> PGresult:
        with self._calling:
            try:
                result = function(*args)
            except psycopg.OperationalError as error:
                # Another thread closed it before.
                raise StoreUnavailable(str(error).strip()) from error
        return self._checked(result)

    def _checked(self, result: PGresult) -> PGresult:
        """The result of what was done. Raises LockedOut, StoreUnavailable, psycopg's errors."""
        if result.status in _DONE:
            return result
        message = result.get_error_message()
        state = result.error_field(DiagnosticField.SQLSTATE)
        if state is None:
            self.close()
            raise StoreUnavailable(message)
        error = errors.lookup(state.decode())(message)
        if isinstance(error, errors.LockNotAvailable | errors.DeadlockDetected):
            raise LockedOut(message) from error
        if isinstance(error, errors.OperationalError):
            self.close()
            raise StoreUnavailable(message) from error
        raise error

    @property
    def lost(self) -> bool:
        """Whether the connection is known to be gone."""
        return bool(self._connection.status != ConnStatus.OK)

    @property
    def backend_pid(self) -> int:
        """The process that serves the connection."""
        return int(self._connection.backend_pid)

    def fileno(self) -> int:
        """The connection's file descriptor."""
        return int(self._connection.socket)

    def close(self) -> None:
        """Close the connection. Under a thread that waits for an answer it is cut: libpq's handle
        is that thread's to close, once it has noticed.
        """
        if self._calling.acquire(blocking=False):
            try:
                self._opened.close()
            finally:
                self._calling.release()
        else:
            with socket.socket(fileno=os.dup(self.fileno())) as beside:
                beside.shutdown(socket.SHUT_RDWR)
