"""Where the folders are that are no packages: at the root of a checkout, beside an installed app."""

from __future__ import annotations

from pathlib import Path

_APP = Path(__file__).parents[1]


def shipped(name: str) -> Path:
    """The folder `migrations` or `samples`."""
    installed = _APP / name
    return installed if installed.is_dir() else _APP.parent / name
