"""The log: one line a message, for people or for machines, with the run it belongs to."""

from __future__ import annotations

import logging
import logging.config
import sys
from collections.abc import Callable, Mapping, MutableMapping
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson
import structlog

from app.config import Settings
from app.errors import SettingsError

Fields = MutableMapping[str, Any]

#: In every line of this process, whichever thread says it: a thread that begins inherits nothing.
_of_process: dict[str, str] = {}

_NONE: Mapping[str, object] = MappingProxyType({})

#: What is told beside a line's words.
_EXTRA = ("errorId",)


#: What the lines of this thread carry, besides what a request has bound.
_bound: ContextVar[Mapping[str, object]] = ContextVar("bound", default=_NONE)


class bound:  # noqa: N801 — it reads as what it does
    """Have every line that this thread says in the block carry these fields.

    One variable for all fields, where structlog has one for each: a node's begin and end cost so
    much.
    """

    __slots__ = ("_fields", "_token")

    def __init__(self, **fields: object) -> None:
        self._fields = fields

    def __enter__(self) -> None:
        self._token = _bound.set({**_bound.get(), **self._fields})

    def __exit__(self, *_: object) -> None:
        _bound.reset(self._token)


def _add_bound(_logger: object, _method: str, event: Fields) -> Fields:
    for name, value in _bound.get().items():
        event.setdefault(name, value)
    return event


def name_process(**fields: str) -> None:
    """Have every line of this process carry these fields from now on, and no others of before."""
    _of_process.clear()
    _of_process.update(fields)


#: Takes out of every line of a thread what must not be in it; None where there is no such thing.
hiding: ContextVar[Callable[[str], str] | None] = ContextVar("hiding", default=None)


def _hide(_logger: object, _method: str, line: str) -> str:
    hide = hiding.get()
    return line if hide is None else hide(line)


def _add_process(_logger: object, _method: str, event: Fields) -> Fields:
    for name, value in _of_process.items():
        event.setdefault(name, value)
    return event


def _json(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=repr).decode()


def _shared() -> list[Any]:
    return [
        structlog.contextvars.merge_contextvars,
        _add_bound,
        _add_process,
        structlog.stdlib.ExtraAdder(_EXTRA),
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _formatter(log_format: str, *, colours: bool) -> dict[str, Any]:
    if log_format == "json":
        last: list[Any] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_json),
        ]
    else:
        # Pretty tracebacks hold up a whole process for seconds, and show passwords in variables.
        plain = structlog.dev.plain_traceback
        last = [
            structlog.dev.ConsoleRenderer(colors=colours, pad_event_to=0, exception_formatter=plain)
        ]
    return {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": _shared(),
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last, _hide],
    }


def logging_config(settings: Settings) -> Mapping[str, Any]:
    """What `logging.config.dictConfig` takes: LOG_LEVEL, LOG_FORMAT, LOG_FILE.

    Raises SettingsError where LOG_FILE can't be written.
    """
    handlers: dict[str, Any] = {
        "stderr": {"class": "logging.StreamHandler", "formatter": "stderr", "stream": sys.stderr}
    }
    formatters = {"stderr": _formatter(settings.log_format, colours=sys.stderr.isatty())}
    if settings.log_file is not None:
        _require_writable(settings.log_file)
        formatters["file"] = _formatter(settings.log_format, colours=False)
        handlers["file"] = {
            "class": "logging.handlers.WatchedFileHandler",
            "formatter": "file",
            "filename": str(settings.log_file),
        }
    level = settings.log_level.upper()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": formatters,
        "handlers": handlers,
        "root": {"level": level, "handlers": list(handlers)},
        "loggers": {
            name: {"level": level, "handlers": [], "propagate": True}
            for name in ("celery", "gunicorn.error")
        }
        # Celery's lines on every task, and on every renewal of its own: for debugging only.
        | {name: {"level": _at_least_warning(level)} for name in _CHATTY},
    }


def _require_writable(file: Path) -> None:
    try:
        file.open("ab").close()
    except OSError as error:
        raise SettingsError(f"LOG_FILE={file} can't be written: {error.strerror}") from error


#: Libraries whose info lines come with every message or request.
_CHATTY = (
    "alembic",
    "celery.app.trace",
    "celery.worker.strategy",
    "gunicorn.access",
    "httpcore",
    "httpx",
    "kombu",
)


def _at_least_warning(level: str) -> str:
    return level if level in ("DEBUG", "ERROR", "CRITICAL") else "WARNING"


def set_up_logging(settings: Settings) -> None:
    """Configure this process's log. Raises SettingsError where LOG_FILE can't be written."""
    logging.config.dictConfig(dict(logging_config(settings)))
