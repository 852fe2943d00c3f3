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
    """An error as one line, with what to do about it; below it each fault of what was sent."""
    match error:
        case ServerUnreachable():
            yield f"chaingraph: {error.message}: start it with `chaingraph dev`, or set CHAINGRAPH_URL"
        case UnexpectedAnswer():
            yield f"chaingraph: {error.message}: does CHAINGRAPH_URL name another server?"
        case ApiProblem(status=401):
            yield f"chaingraph: {error.title}: {error.detail} Set CHAINGRAPH_TOKEN to one"
        case ApiProblem():
            yield f"chaingraph: {error.title}: {error.detail}"
        case _:
            yield f"chaingraph: {error.message}"
    for fault in error.errors if isinstance(error, ApiProblem) else ():
        yield f"  {fault.pointer or '/'}: {fault.message}"
