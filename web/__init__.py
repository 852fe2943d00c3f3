"""The API: HTTP in, problems and JSON out. It never runs a node."""

from __future__ import annotations

from flask import Flask

from app.config import Settings, load_settings

__all__ = ["create_app"]


def create_app(settings: Settings | None = None) -> Flask:
    """Make the API from its settings, those of the environment by default."""
    # Late, so that a process which only wants a name of this package doesn't load it all.
    from web.composition import compose

    return compose(settings or load_settings())
