"""The command line: `chaingraph`, one module per command."""

from __future__ import annotations

import sys

from app.cli.root import cli
from app.client import ServerUnreachable, UnexpectedAnswer
from app.errors import ChainGraphError, SettingsError, StoreUnavailable

#: Exit statuses besides 0, done.
FAILED = 1
USAGE = 2
NO_SERVER = 3


def main() -> None:
    """Run one command; an error of ours is one line on standard error and a status."""
    try:
        cli()
    except ChainGraphError as error:
        print(f"chaingraph: {error.message}", file=sys.stderr)
        sys.exit(status_of(error))


def status_of(error: ChainGraphError) -> int:
    """The exit status that tells a script what sort of error it was."""
    match error:
        case SettingsError():
            return USAGE
        case StoreUnavailable() | ServerUnreachable() | UnexpectedAnswer():
            return NO_SERVER
        case _:
            return FAILED
