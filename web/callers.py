"""Who makes the request that is being answered."""

from __future__ import annotations

from flask import g

from app.caller import Caller


def caller() -> Caller:
    """Who makes this request."""
    known: Caller = g.caller
    return known


def set_caller(known: Caller) -> None:
    """From here on it is known who makes this request."""
    g.caller = known
