"""Secrets, without what they hold."""

from __future__ import annotations

from app.nodes.library.secrets import SecretType
from web.shapes.forms import Page, Shape, Time


class Secret(Shape):
    """A secret: what it is called and what it is for. What it holds is never shown."""

    id: str
    name: str
    secret_type: SecretType
    owner_id: str
    created_at: Time
    updated_at: Time


class SecretPage(Page[Secret]):
    """One page of secrets."""
