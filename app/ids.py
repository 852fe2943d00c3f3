"""Identifiers: a prefix and 24 characters of an alphabet without look-alikes."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

#: No 0/O, 1/I/l: an id can be read aloud and typed from a screen.
ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
LENGTH = 24
#: So many more than the 140 of an id that no character is likelier than another by 2**-50.
_DRAWN_BITS = 192
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
        # One draw for all: each of a `SystemRandom` asks the kernel.
        number, drawn = random.getrandbits(_DRAWN_BITS), []
        for _ in range(LENGTH):
            number, place = divmod(number, len(ALPHABET))
            drawn.append(ALPHABET[place])
        return prefix + "".join(drawn)

    return fresh
