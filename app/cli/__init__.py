"""The command line: `chaingraph`, one module per command or group of commands."""

from __future__ import annotations

import sys

from app.cli.output import say
from app.cli.root import cli
from app.cli.statuses import error_lines, status_of
from app.errors import ChainGraphError


def main() -> None:
    """Run one command; an error of ours is one line on standard error and a status."""
    try:
        cli()
    except ChainGraphError as error:
        for line in error_lines(error):
            say(line)
        sys.exit(status_of(error))
