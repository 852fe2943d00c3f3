"""Identifiers: a prefix and 24 characters of an alphabet without look-alikes."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

#: No 0/O, 1/I/l: an id can be read aloud and typed from a screen.
ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
LENGTH = 24
EXECUTION_PREFIX = "EX"
FLOW_PREFIX = "V2"
TOKEN_PREFIX = "TK"  # noqa: S105 — how its id begins
SECRET_PREFIX = "SE"  # noqa: S105 — how their ids begin

IdSource = Callable[[str], str]


def id_source(random: Random) -> IdSource:
    """Make a function that gives a fresh id for a prefix, drawn from `random`.

    24 of 57 characters are 140 bits. Pass `random.SystemRandom()` in a process that serves,
    a seeded `Random` where a run is to be repeated.
    """

    def fresh(prefix: str) -> str:
        return prefix + "".join(random.choices(ALPHABET, k=LENGTH))

    return fresh
