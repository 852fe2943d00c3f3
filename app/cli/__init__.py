"""The command line: `chaingraph`, one module per command or group of commands."""

from __future__ import annotations

import sys

from app.cli.output import say
from app.cli.root import cli
from app.cli.statuses import USAGE, error_lines, status_of
from app.config.places import ours
from app.errors import ChainGraphError

#: What every install has.
OURS = frozenset(ours(name).partition(".")[0] for name in ("app", "tasks", "web"))


def main() -> None:
    """Run one command; an error of ours is one line on standard error and a status."""
    try:
        cli()
    except ChainGraphError as error:
        for line in error_lines(error):
            say(line)
        sys.exit(status_of(error))
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in OURS:
            raise
        # The base install has the client and the command line; these commands need the rest.
        say(f"chaingraph: {error.msg}: install chaingraph-celery with its extra `server`")
        sys.exit(USAGE)
