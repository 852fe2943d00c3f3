"""Exit statuses, and the words for an error."""

from __future__ import annotations

from collections.abc import Iterator

from app.client import ApiProblem, ServerUnreachable, UnexpectedAnswer
from app.errors import ChainGraphError, SettingsError, StoreUnavailable

DONE = 0
#: Failed or stopped.
FAILED = 1
#: Something to mend in what was given.
USAGE = 2
NO_SERVER = 3
#: As a shell has it: 128 and the number of SIGINT.
INTERRUPTED = 130

#: What the API finds at fault with what was sent.
_AT_FAULT = frozenset({400, 413, 422})


def status_of(error: ChainGraphError) -> int:
    """The exit status that tells a script what sort of error it was."""
    match error:
        case SettingsError():
            return USAGE
        case StoreUnavailable() | ServerUnreachable() | UnexpectedAnswer():
            return NO_SERVER
        case ApiProblem(status=status) if status in _AT_FAULT:
            return USAGE
        case ApiProblem(status=503):  # it is there, and its database is not
            return NO_SERVER
        case _:
            return FAILED


def error_lines(error: ChainGraphError) -> Iterator[str]:
    """An error as one line; below it each fault of what was sent, at its pointer."""
    if not isinstance(error, ApiProblem):
        yield f"chaingraph: {error.message}"
        return
    yield f"chaingraph: {error.title}: {error.detail}"
    for fault in error.errors:
        yield f"  {fault.pointer or '/'}: {fault.message}"
