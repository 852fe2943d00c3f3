"""The API: HTTP in, problems and JSON out. It never runs a node."""

from __future__ import annotations

from flask import Flask

from app.config import Settings, load_settings
from app.errors import SettingsError

__all__ = ["create_app"]


def create_app(settings: Settings | None = None) -> Flask:
    """Make the API from its settings, those of the environment by default.

    Raises gunicorn's AppImportError, with the one line to show, where a setting is wrong.
    """
    # Late, so that a process which only wants a name of this package doesn't load it all.
    from web.composition import compose

    try:
        return compose(settings or load_settings())
    except SettingsError as error:
        from gunicorn.errors import AppImportError  # type: ignore[import-untyped]  # it has none

        # For this one gunicorn prints the line, without a traceback, and starts no other process.
        raise AppImportError(error.message) from error
