"""What a text of PostgreSQL can hold."""

from __future__ import annotations


def storable(text: str) -> str:
    """A text without what PostgreSQL's can't hold: NUL, half of a surrogate pair."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()


def is_storable(text: str) -> bool:
    """Whether a text can be in the store at all: no other names anything there."""
    return storable(text) == text
