"""What a token looks like, and what is kept of one: its hash.

A token is 256 bits drawn by chance. Nobody guesses one or tries them all, so that one round of
SHA-256 keeps it as well as a slow hash would, which is for what people can remember; and it
costs a request microseconds.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable

#: Tells a token from other texts, for whoever searches files for what should not be there.
PREFIX = "cgt_"
#: How much chance is in one (bytes).
RANDOM_BYTES = 32

_TOKEN = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")


def new_token(random_bytes: Callable[[int], bytes]) -> str:
    """Make a token of so many random bytes as `random_bytes` gives."""
    return PREFIX + urlsafe_b64encode(random_bytes(RANDOM_BYTES)).rstrip(b"=").decode()


def is_token(text: str) -> bool:
    """Whether a text could be a token."""
    return _TOKEN.fullmatch(text) is not None


def hash_of(token: str) -> str:
    """What is stored of a token and looked up by: its SHA-256 in hexadecimal."""
    return hashlib.sha256(token.encode()).hexdigest()
