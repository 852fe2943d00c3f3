"""Texts as JavaScript sees them: rows of UTF-16 units."""

from __future__ import annotations

from array import array

_LAST_SINGLE = "\uffff"


def units(text: str) -> str:
    """Give the text with every character beyond U+FFFF as its two surrogates."""
    if text.isascii() or max(text) <= _LAST_SINGLE:
        return text
    pairs = array("H", text.encode("utf-16-le", "surrogatepass"))
    return "".join(map(chr, pairs))


def characters(text: str) -> str:
    """Give units as a text again; half a pair, which UTF-8 can't hold, becomes U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
