"""Regular expressions that come from documents and values: no pattern may hang a worker.

`regex` rather than RE2: it knows lookaround and back references, which the patterns of
ChainGraph's users have, and ends a search that takes too long by itself.
"""

from __future__ import annotations

import time
from functools import lru_cache

import regex

#: Characters of a pattern, and levels of brackets in it; its compiler recurses.
MAX_LENGTH = 1_000
MAX_NESTING = 50

#: Seconds that all searches of one check, or of one node, may take together.
TIME_LIMIT_S = 1.0


class PatternError(ValueError):
    """The pattern can't be read; the message says why."""


class PatternTimeout(ValueError):
    """The pattern takes too long on this text."""


class Stopwatch:
    """What is left of a time limit that several searches share."""

    def __init__(self, limit_s: float = TIME_LIMIT_S) -> None:
        self._deadline = time.monotonic() + limit_s

    def left_s(self) -> float:
        """Seconds left; raises PatternTimeout if none are."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise PatternTimeout("the pattern takes too long")
        return left


@lru_cache(maxsize=512)
def compile_pattern(pattern: str, flags: int = 0) -> regex.Pattern[str]:
    """Compile a pattern with flags of `regex`; raises PatternError.

    Pass `timeout=stopwatch.left_s()` to whatever method of it runs; that raises TimeoutError.
    """
    if len(pattern) > MAX_LENGTH:
        raise PatternError(f"a pattern has at most {MAX_LENGTH} characters")
    if _nesting(pattern) > MAX_NESTING:
        raise PatternError(f"a pattern has at most {MAX_NESTING} brackets inside each other")
    try:
        return regex.compile(pattern, flags)
    except (regex.error, OverflowError, ValueError) as error:
        raise PatternError(f"not a regular expression: {error}") from error


def matches(pattern: str, text: str, stopwatch: Stopwatch) -> bool:
    """Whether the pattern matches somewhere in the text; raises PatternError, PatternTimeout."""
    compiled = compile_pattern(pattern)
    try:
        return compiled.search(text, timeout=stopwatch.left_s()) is not None
    except TimeoutError as error:
        raise PatternTimeout("the pattern takes too long") from error


def _nesting(pattern: str) -> int:
    # Escaped brackets count too: a bound that is too strict for odd patterns harms nobody.
    depth = deepest = 0
    for character in pattern:
        if character in "([":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]":
            depth -= 1
    return deepest
