"""Where things of ours are: a checkout has them at its root, an install inside of `chaingraph`."""

from __future__ import annotations

from pathlib import Path

_APP = Path(__file__).parents[1]

#: What stands before the names of our packages: nothing in a checkout, `chaingraph.` installed.
_PREFIX = __name__.removesuffix("app.config.places")


def ours(name: str) -> str:
    """The name under which this process imports what a checkout calls `tasks`, `web.loop`, …

    What is imported by its name in a string is named by this: only imports are renamed for an
    install.
    """
    return f"{_PREFIX}{name}"


def shipped(name: str) -> Path:
    """The folder `migrations` or `samples`."""
    installed = _APP / name
    return installed if installed.is_dir() else _APP.parent / name
