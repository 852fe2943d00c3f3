"""What the base install does without."""

from __future__ import annotations

from importlib import import_module


def require_server() -> None:
    """Raise ModuleNotFoundError where the extra `server` isn't installed, before anything starts."""
    import_module("gunicorn")
