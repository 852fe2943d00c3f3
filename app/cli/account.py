"""Under whose name the audit has what is done from the command line."""

from __future__ import annotations

import getpass
import os


def account() -> str:
    """Who does this: the account that the command runs as."""
    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError):
        # An account without a name.
        return f"cli:{os.geteuid()}"
