"""The server that commands talk to: CHAINGRAPH_URL, with CHAINGRAPH_TOKEN."""

from __future__ import annotations

from app.client import Client
from app.config import load_settings


def connect() -> Client:
    """Make a client from the settings; nothing is opened before its first call."""
    settings = load_settings()
    return Client(settings.chaingraph_url, settings.chaingraph_token)
